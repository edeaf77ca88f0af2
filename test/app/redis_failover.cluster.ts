/**
 * A primary of a cluster is killed while events are pushed and vectors are read: what was acknowledged is in the pages after
 * `reconcile`, and what is read meanwhile are values that were true, or coded errors.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { getVector } from '../../src/app/get.ts';
import { materialize } from '../../src/app/materialize.ts';
import type { App } from '../../src/app/open.ts';
import { reconcileViews } from '../../src/app/reconcile_views.ts';
import { SamewiseError } from '../../src/base/errors.ts';
import { ownServer } from '../stream/servers.ts';
import { paymentsProject, pushRows } from './project.ts';

const CUSTOMERS = 30;
const AT = Date.UTC(2024, 0, 1, 12) * 1_000;

const { skip, at, run, down } = await ownServer('redis-cluster');

test('a primary that dies takes no event with it that was acknowledged', { skip }, async (t) => {
  t.after(down);
  const { open, folder, remove } = await paymentsProject(300, CUSTOMERS);
  t.after(remove);
  const app = await open({ online: `redis-cluster://${at}?namespace=${randomUUID().slice(0, 8)}` });
  t.after(() => app.close());
  await materialize(app, { views: ['spending', 'latest'], full: false });

  /** Payments that somebody was told are in, and those of which nobody was told. */
  const acknowledged = new Array<number>(CUSTOMERS).fill(10);
  const sent = new Array<number>(CUSTOMERS).fill(10);
  let pushed = 0;
  let refused = 0;
  const coded = (error: unknown) => {
    assert.ok(
      error instanceof SamewiseError && /^(online|stream|serving)\//.test(error.code),
      String(error),
    );
    refused++;
  };
  const pushOne = async () => {
    const customer = (pushed * 7) % CUSTOMERS;
    const row = {
      id: 1_000 + pushed,
      at: new Date(AT / 1e3 - 3_600_000 + pushed).toISOString(),
      customer_id: customer,
      amount: 1,
    };
    pushed++;
    sent[customer]!++;
    try {
      await pushRows(app, 'payments', [row]);
      acknowledged[customer]!++;
    } catch (error) {
      coded(error);
    }
  };
  const readOne = async () => {
    const customer = Math.floor((pushed * 11) % CUSTOMERS);
    try {
      const { features } = await vector(app, customer);
      const n = Number(features[0]);
      assert.ok(n >= 10 && n <= sent[customer]!, `${n} payments of ${sent[customer]}`);
    } catch (error) {
      coded(error);
    }
  };
  const primary = Number(at.split(',')[0]!.split(':')[1]);
  let over = false;
  t.after(() => {
    over = true;
  });
  const load = (async () => {
    while (!over) await Promise.all([pushOne(), readOne()]);
  })().finally(() => {
    over = true;
  });
  load.catch(() => {});
  const until = async (what: () => boolean | Promise<boolean>) => {
    while (!(await what())) await setTimeout(5);
  };
  await until(() => over || pushed > 20);
  await run('kill', String(primary));
  const atKill = pushed;
  // Its replica is in its place when all slots are served again, and some work is done then.
  await until(() => over || pushed > atKill + 60);
  over = true;
  await load;
  t.diagnostic(`${pushed} pushed, ${refused} refused`);

  // Another primary dies, whose replica has not been told of what came last: pages go back to what they were.
  const [lossy, replica] = await withReplica(at.split(',')[1]!);
  await run('pause', replica.split(':')[1]!);
  await ask(lossy, (node) => node.call('CLIENT', 'KILL', 'TYPE', 'replica'));
  for (let i = 0; i < CUSTOMERS; i++) await pushOne();
  await run('kill', lossy.split(':')[1]!);
  await run('resume', replica.split(':')[1]!);
  await until(async () => (await ask(replica, (node) => node.role()))[0] === 'master');
  const behind: number[] = [];
  for (let customer = 0; customer < CUSTOMERS; customer++)
    if (Number((await vector(app, customer)).features[0]) < acknowledged[customer]!)
      behind.push(customer);
  assert.ok(behind.length > 0, 'something was lost');

  // The next event has the worker go on from its checkpoint: where that was lost, too, it applies again what came after. Where it was
  // not, the pages lack what it promises, and `reconcile` sees it.
  await pushOne();
  const wanted = { views: null, sample: null } as const;
  const repaired = await reconcileViews(app, { ...wanted, repair: true });
  t.diagnostic(
    `${behind.length} customers were behind; repaired: ${repaired.map((view) => view.repaired)}`,
  );
  for (const found of await reconcileViews(app, { ...wanted, repair: false }))
    assert.equal(found.differentKeys, 0, found.view);

  // The same history in an embedded store, which has been through nothing.
  const twin = await open({ online: join(folder, 'twin') });
  t.after(() => twin.close());
  await materialize(twin, { views: ['spending', 'latest'], full: true });
  for (let customer = 0; customer < CUSTOMERS; customer++) {
    const [there, here] = [await vector(app, customer), await vector(twin, customer)];
    assert.deepEqual(there, here, `customer ${customer}`);
    assert.ok(Number(there.features[0]) >= acknowledged[customer]!, `customer ${customer}`);
  }
});

/** What one node of the cluster answers. */
async function ask<T>(node: string, question: (redis: Redis) => Promise<T>): Promise<T> {
  const [host, port] = node.split(':');
  const redis = new Redis({ host, port: Number(port) });
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

/** A primary and its replica, by host and port. */
async function withReplica(primary: string): Promise<[primary: string, replica: string]> {
  const nodes = (await ask(primary, (node) => node.cluster('NODES'))) as string;
  const [id] = nodes
    .split('\n')
    .find((line) => line.includes('myself'))!
    .split(' ');
  const [, replica] = nodes
    .split('\n')
    .find((line) => line.includes(`slave ${id}`))!
    .split(' ');
  return [primary, replica!.split('@')[0]!];
}

async function vector(app: App, customer: number) {
  const { features } = await getVector(
    app,
    'spending:n,spending:mean,latest:amount',
    { customer_id: String(customer) },
    { atUs: AT, through: false },
  );
  return { features: features.map(({ value }) => value) };
}
