/** Asking for vectors: deadlines and what they leave, chunks that give others a turn, and what is refused when too much is under way. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../src/base/clock.ts';
import { SamewiseError } from '../../src/base/errors.ts';
import type { OnlineStore, PageKey } from '../../src/online/contract.ts';
import { Ask, MAX_ENTITIES } from '../../src/serving/ask.ts';
import { Revision } from '../../src/serving/definitions.ts';
import { Metrics } from '../../src/serving/metrics.ts';
import { VectorReader } from '../../src/serving/vector.ts';
import { cases } from '../support/cases.ts';
import { catalogs, memoryOnline, memoryRegistry, NOW_US, serverOver } from './support.ts';
import { DEFINITIONS, fill } from './world.ts';

const online = memoryOnline();
let revision: Revision;
before(async () => {
  await fill(online);
  revision = new Revision(1, await memoryRegistry(DEFINITIONS).load(), catalogs);
});

const nameOf = ({ view, key }: PageKey) => `${view}/${key.toHex()}`;
const headOf = (key: PageKey) => online.pages.get(nameOf(key))?.head;

/** The world's pages, whose heads come when `heads` says. */
function askOver(heads: OnlineStore['heads'], share: Partial<OnlineStore> = {}) {
  const metrics = new Metrics();
  const store: OnlineStore = { ...online, ...share, heads };
  const reader = new VectorReader(store, metrics);
  const ask = new Ask({ clock: systemClock, reader, metrics, featureLog: null });
  return { ask, metrics };
}
function question(ids: readonly (bigint | null)[], waitMs = Number.POSITIVE_INFINITY) {
  const { program } = revision.service('fraud');
  const rows = ids.map((id) => [id, 30]);
  const untilMs = systemClock.monotonicMs() + waitMs;
  return { revision, program, rows, readUs: NOW_US, untilMs, requestId: null };
}
const viewIds = () => {
  const { lookups } = revision.service('fraud').program.plan;
  return Object.fromEntries(lookups.map(({ program }) => [program.view.name, program.id]));
};

test('what does not come before the deadline is null and TIMED_OUT, with all that is made from it, and the rest is there', async () => {
  const whole = await askOver((keys) => keys.map(headOf)).ask.vectors(question([7n]));
  for (const hanging of ['spending', 'profile', 'city_stats']) {
    const id = viewIds()[hanging];
    const { ask, metrics } = askOver((keys) =>
      keys.some(({ view }) => view === id)
        ? // Pages of a level come together: who hangs, hangs its level.
          new Promise(() => {})
        : keys.map(headOf),
    );
    const vectors = await ask.vectors(question([7n], 5));
    assert.equal(vectors.partial, true);
    const { outputs } = vectors.program.plan;
    const late = outputs.filter((_, i) => vectors.status(0, i) === 'TIMED_OUT');
    const names = late.map(({ name }) => name);
    // The first level waits for spending and profile; the second, the mean of the city, comes after both.
    assert.deepEqual(
      names,
      hanging === 'city_stats' ? ['home_city_mean'] : outputs.map(({ name }) => name),
    );
    outputs.forEach((_, i) => {
      const isLate = vectors.status(0, i) === 'TIMED_OUT';
      assert.equal(
        String(vectors.value(0, i)),
        isLate ? 'null' : String(whole.value(0, i)),
        outputs[i]!.name,
      );
      if (!isLate) assert.equal(vectors.status(0, i), whole.status(0, i));
    });
    assert.match(await metrics.text(), /samewise_partial_answers_total 1/);
  }
});

test('rows that came are whole when others hang, and what comes later changes nothing', async () => {
  const resolvers: (() => void)[] = [];
  let calls = 0;
  const { ask } = askOver((keys) => {
    // Of many parts the second hangs until it is let go.
    if (calls++ !== 1) return Promise.resolve(keys.map(headOf));
    return new Promise((resolve) => resolvers.push(() => resolve(keys.map(headOf))));
  });
  const ids = Array.from({ length: 600 }, (_, i) => (i % 2 === 0 ? 7n : 404n));
  const vectors = await ask.vectors(question(ids, 300));
  assert.equal(vectors.partial, true);
  const said = () =>
    ids.map((_, row) =>
      vectors.program.plan.outputs.map((_, i) => [vectors.status(row, i), vectors.value(row, i)]),
    );
  const before = said();
  const partial = ids.map((_, row) => vectors.isPartial(row));
  assert.ok(partial.includes(true) && partial.includes(false));
  for (const row of ids.keys())
    assert.equal(
      before[row]!.some(([status]) => status === 'TIMED_OUT'),
      partial[row],
    );
  for (const resolve of resolvers) resolve();
  await new Promise((done) => setImmediate(done));
  assert.deepEqual(said(), before);
});

test('a store that fails before the deadline is an error, after it nothing', async () => {
  const away = () => new SamewiseError('online/unreachable', 'away');
  const failing = askOver(() => Promise.reject(away()));
  await assert.rejects(async () => failing.ask.vectors(question([7n], 60_000)), {
    code: 'online/unreachable',
  });
  let fail = () => {};
  const late = askOver(
    () =>
      new Promise((_, reject) => {
        fail = () => reject(away());
      }),
  );
  const vectors = await late.ask.vectors(question([7n], 1));
  assert.equal(vectors.partial, true);
  fail();
  await new Promise((done) => setImmediate(done));
});

test('a deadline that is never reached changes nothing, whatever the order in which pages come', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(7n, 9n, 404n, null), { minLength: 1, maxLength: 400 }),
      fc.infiniteStream(fc.nat({ max: 3 })),
      async (ids, turns) => {
        const atOnce = await askOver((keys) => keys.map(headOf)).ask.vectors(question(ids));
        const { ask } = askOver(async (keys) => {
          const { value } = turns.next();
          for (let i = 0; i < value!; i++) await new Promise((done) => setImmediate(done));
          return keys.map(headOf);
        });
        const later = await ask.vectors(question(ids, 600_000));
        assert.equal(later.partial, false);
        for (const row of ids.keys())
          atOnce.program.plan.outputs.forEach((_, i) => {
            assert.deepEqual(later.value(row, i), atOnce.value(row, i));
            assert.equal(later.status(row, i), atOnce.status(row, i));
          });
      },
    ),
    { numRuns: cases(40) },
  );
});

test('more entities than one request may have are refused', () => {
  const { ask } = askOver((keys) => keys.map(headOf));
  const ids = new Array(MAX_ENTITIES + 1).fill(7n);
  assert.throws(() => ask.vectors(question(ids)), { code: 'serving/too-many-entities' });
});

test('a large batch gives others their turn', async () => {
  const { ask } = askOver((keys) => {
    // As slow as a store on a busy machine.
    const untilMs = performance.now() + 2;
    while (performance.now() < untilMs);
    return keys.map(headOf);
  });
  let turns = 0;
  let isDone = false;
  const count = () => {
    turns++;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  await ask.vectors(question(new Array(MAX_ENTITIES).fill(7n)));
  isDone = true;
  assert.ok(turns > 10, `${turns} turns`);
});

test('of 100,000 entities asked at once, each request is answered or refused, and what is under way is bounded', async () => {
  let mostUnderWay = 0;
  let underWay = 0;
  const { ask, metrics } = askOver(async (keys) => {
    underWay += keys.length;
    mostUnderWay = Math.max(mostUnderWay, underWay);
    await new Promise((done) => setImmediate(done));
    underWay -= keys.length;
    return keys.map(headOf);
  });
  const all = await Promise.all(
    Array.from({ length: 100 }, async () => {
      try {
        return (await ask.vectors(question(new Array(1_000).fill(7n)))).rows;
      } catch (error) {
        assert.equal((error as SamewiseError).code, 'serving/overloaded');
        return 0;
      }
    }),
  );
  const refused = all.filter((rows) => rows === 0).length;
  assert.ok(refused > 0 && refused < 100, String(refused));
  assert.ok(mostUnderWay <= 50_000, String(mostUnderWay));
  assert.match(await metrics.text(), new RegExp(`samewise_overloaded_total ${refused}`));
  // Room again.
  assert.equal((await ask.vectors(question([7n]))).rows, 1);
});

test('what is answered in part goes on counting as under way until it has come', async () => {
  let hangs = true;
  const waiting: (() => void)[] = [];
  const { ask } = askOver(async (keys) => {
    if (hangs) await new Promise<void>((done) => waiting.push(done));
    return keys.map(headOf);
  });
  const some = () => question(new Array(MAX_ENTITIES).fill(7n), 1);
  const refused = async () => {
    for (let i = 0; i < 50; i++) assert.equal((await ask.vectors(some())).partial, true);
  };
  await assert.rejects(refused, { code: 'serving/overloaded' });
  hangs = false;
  for (const done of waiting) done();
  await new Promise((done) => setImmediate(done));
  assert.equal((await ask.vectors(question([7n]))).partial, false);
});

let server: Awaited<ReturnType<typeof serverOver>>;
const gate = { open: true, waiting: [] as (() => void)[] };
before(async () => {
  const gated: OnlineStore = {
    ...online,
    async heads(keys) {
      if (!gate.open) await new Promise<void>((done) => gate.waiting.push(done));
      return keys.map(headOf);
    },
  };
  server = await serverOver(DEFINITIONS, { online: gated, clock: systemClock });
});
after(() => server.app.close());
const letGo = () => {
  gate.open = true;
  for (const done of gate.waiting.splice(0)) done();
};

test('over HTTP a partial answer says so, and a deadline that is none is refused', async () => {
  const headers = { 'x-deadline-ms': '5' };
  gate.open = false;
  const url = '/api/v1/features/online?entity=customer&id=7&features=count_1d';
  const one = (await server.app.inject({ url, headers })).json();
  assert.equal(one.partial, true);
  assert.deepEqual(one.features, { count_1d: null });
  assert.deepEqual(one.statuses, { count_1d: 'TIMED_OUT' });
  const body = { entities: [{ customer_id: 7, amount: 1 }], full: true, at: '2024-03-10' };
  const post = (given: object) =>
    server.app.inject({
      method: 'POST',
      url: '/api/v1/services/fraud/vectors',
      headers: { 'content-type': 'application/json', ...given },
      payload: JSON.stringify(body),
    });
  const many = (await post(headers)).json();
  assert.equal(many.partial, true);
  assert.equal(many.statuses[0].amount_to_mean, 'TIMED_OUT');
  letGo();
  const whole = (await post({ 'x-deadline-ms': '60000' })).json();
  assert.equal(whole.partial, undefined);
  assert.equal(whole.vectors[0].count_1d, 2);
  for (const bad of ['', '-1', '1.5', 'soon', '1e3']) {
    const refused = await post({ 'x-deadline-ms': bad });
    assert.equal(refused.statusCode, 400, bad);
    assert.equal(refused.json().error.code, 'serving/bad-field');
  }
});

test('beyond what may be under way the server says 429 and when to come again', async () => {
  gate.open = false;
  const payload = JSON.stringify({
    entities: Array.from({ length: MAX_ENTITIES }, (_, i) => ({ customer_id: i, amount: 1 })),
  });
  const headers = { 'content-type': 'application/json' };
  const url = '/api/v1/services/fraud/vectors';
  const asked = Array.from({ length: 8 }, () =>
    server.app.inject({ method: 'POST', url, headers, payload }),
  );
  const first = await Promise.race(asked);
  assert.equal(first.statusCode, 429);
  assert.equal(first.json().error.code, 'serving/overloaded');
  assert.equal(first.headers['retry-after'], '1');
  letGo();
  const statuses = (await Promise.all(asked)).map(({ statusCode }) => statusCode);
  assert.deepEqual([...new Set(statuses)].sort(), [200, 429]);
  const many = JSON.stringify({ entities: new Array(6_000).fill({ customer_id: 1, amount: 1 }) });
  const refused = await server.app.inject({ method: 'POST', url, headers, payload: many });
  assert.equal(refused.statusCode, 400);
});
