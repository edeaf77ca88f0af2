/**
 * Keys come back while events for them stream in and processes that bring them back are killed at every step. Each event doubles what the
 * sum grows by, so that the sum tells exactly which events are in it: always all that had been applied, and no others.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ColdTier } from '../../src/app/cold_tier.ts';
import { evictIdle, idleViews } from '../../src/app/eviction.ts';
import { materialize } from '../../src/app/materialize.ts';
import { reconcileViews } from '../../src/app/reconcile_views.ts';
import { US_PER_HOUR } from '../../src/base/time.ts';
import { isEvicted } from '../../src/timeline/index.ts';
import { int64 } from '../../src/types/dtype.ts';
import { encodeKey } from '../../src/types/key.ts';
import { STAGES, type Stage, stopping } from './cold_tier_stages.ts';
import { pushRows } from './project.ts';
import { FEATURES, world } from './prove_world.ts';

const LEAVING = FEATURES.replaceAll(/entity: (customer|city), source/g, `onlineFor: '1h', $&`);
const CUSTOMER = 1;

/** A project in which a key has left. */
async function cold(t: TestContext) {
  const here = await world(40, LEAVING);
  const { app, clock } = here;
  t.after(() => app.close());
  await materialize(app);
  let pushed = 0;
  const pushNext = async () => {
    const amount = 2 ** pushed;
    const row = {
      id: 7_000 + pushed,
      at: clock.nowUs() - 1e6,
      customer_id: CUSTOMER,
      city: 'Rome',
      amount,
    };
    await pushRows(app, 'payments', [row]);
    pushed++;
  };
  await pushNext();
  const read = async () => {
    const vectors = await here.serveList(CUSTOMER);
    return vectors.value(0, 0) as number;
  };
  const before = (await read()) - 1;
  const view = idleViews(await app.registry.load()).find(({ name }) => name === 'spending')!;
  const key = encodeKey([BigInt(CUSTOMER)], [int64]);
  const page = { view: view.program.id, key };
  const streaming = await app.streaming();
  const leave = async () => {
    clock.advanceUs(2 * US_PER_HOUR);
    await evictIdle(streaming, view);
    assert.equal(await isCold(), true);
  };
  const isCold = async () => isEvicted((await app.online.heads([page]))[0]!.bytes);
  return {
    ...here,
    view,
    key,
    leave,
    isCold,
    pushNext,
    pushed: () => pushed,
    /** What the sum is made of: so many events, the first ones. */
    async counted(): Promise<number> {
      const counted = Math.log2((await read()) - before + 1);
      assert.equal(counted, Math.round(counted), 'an event is missing, or counted twice');
      return counted;
    },
    async settled() {
      const [found] = await reconcileViews(app, {
        views: ['spending'],
        sample: null,
        repair: false,
      });
      assert.equal(found!.differentKeys, 0);
    },
  };
}

test('events that come at any step are counted, once, and whoever reads meanwhile sees all that was applied', async (t) => {
  const here = await cold(t);
  for (const at of STAGES) {
    await here.leave();
    let met = 0;
    const tier = new ColdTier(
      stopping(here.app, async (stage) => {
        if (stage !== at || met++ > 0) return;
        await here.pushNext();
        // Another process reads it, and brings it back itself.
        assert.equal(await here.counted(), here.pushed(), `read at ${at}`);
        await here.pushNext();
      }),
    );
    await tier.bringBack(here.view.program, here.key);
    assert.ok(met > 0, at);
    assert.equal(await here.isCold(), false, at);
    assert.equal(await here.counted(), here.pushed(), at);
  }
  await here.settled();
});

test('a store that fails at any step leaves the key as it was, and the next read has it', async (t) => {
  const here = await cold(t);
  for (const at of STAGES) {
    await here.leave();
    const tier = new ColdTier(
      stopping(here.app, async (stage) => {
        if (stage !== at) return;
        await here.pushNext();
        throw new Error('the power is gone');
      }),
    );
    await assert.rejects(tier.bringBack(here.view.program, here.key), /power/, at);
    assert.match(await tier.metrics(), /samewise_cold_failures_total\{feature_view="spending"\} 1/);
    assert.equal(await here.counted(), here.pushed(), at);
  }
  await here.settled();
});

for (const at of ['put', 'note'] satisfies Stage[])
  test(`a process that is killed before "${at}" leaves nothing wrong`, async (t) => {
    const here = await cold(t);
    await here.leave();
    const { app, clock, view, key } = here;
    const child = fork(
      join(import.meta.dirname, 'cold_tier_child.ts'),
      [
        app.config.projectDir,
        view.program.id,
        Buffer.from(key).toString('hex'),
        String(clock.nowUs()),
      ],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
    t.after(() => child.kill('SIGKILL'));
    for (;;) {
      const [stage] = await once(child, 'message');
      if (stage === at) break;
      child.send('go on');
    }
    await here.pushNext();
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    assert.equal(await here.isCold(), at !== 'note');
    assert.equal(await here.counted(), here.pushed());
    await here.settled();
  });
