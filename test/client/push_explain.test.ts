/** What a program pushes it reads, and is told why: on a server over a real project. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Listening } from '../../src/app/listening.ts';
import type { App } from '../../src/app/open.ts';
import { startServer } from '../../src/app/server.ts';
import { connect } from '../../src/client/index.ts';
import { type Project, project } from '../app/project.ts';
import { fraud, payments } from './shop.ts';

let made: Project;
let app: App;
let server: Listening;
before(async () => {
  const shop = join(import.meta.dirname, 'shop.ts');
  made = await project(`export * from ${JSON.stringify(shop)};`, 'SELECT 1 AS unused');
  app = await made.open();
  const failed = (error: unknown) => assert.fail(error as Error);
  server = await startServer(app, {
    host: '127.0.0.1',
    port: 0,
    version: '0',
    stream: true,
    onFailure: failed,
    onStreamFailure: (_, error) => failed(error),
    onSchemaChange: () => assert.fail(),
    health: {
      onMismatch: () => assert.fail(),
      onFailure: (_, error) => failed(error),
      onLevelFailure: failed,
    },
  });
});
after(async () => {
  await server.close();
  await app.close();
  made.remove();
});

const AT = Date.UTC(2024, 0, 1);
const BIG = 2n ** 53n + 1n;
const event = (id: number, amount: number | null) => ({
  id,
  at: new Date(AT + id),
  customer_id: BIG,
  amount,
  cents: BIG + BigInt(id),
});

test('what is pushed is read, explained and taken away', async () => {
  const store = connect(server.url, { deadlineMs: 60_000 });
  const rows = [event(1, 10), event(2, null), event(3, 20)];
  const pushed = await store.push(payments, rows, { wait: 'applied', deadlineMs: 120_000 });
  assert.deepEqual(pushed, { source: 'payments', rows: 3, state: 'applied' });
  const asked = { customer_id: BIG, price: 30 };
  const { values } = await store.get(fraud, asked);
  assert.deepEqual(values, { n: 3n, mean: 15, last: [BIG + 2n, BIG + 3n], to_mean: 2 });

  const why = () => store.explain(fraud, 'last', asked, { events: 1, deadlineMs: 120_000 });
  let last = await why();
  // Reads see events before history has them.
  while (!last.agrees) last = await why();
  const value: readonly (bigint | null)[] | null = last.value;
  assert.deepEqual(value, values.last);
  assert.deepEqual([last.recomputed, last.agrees, last.status], [values.last, true, 'PRESENT']);
  assert.equal(last.lookups[0]!.counted, 3);
  const past = await store.explain(fraud, 'to_mean', asked, {
    deadlineMs: 120_000,
    at: new Date(AT + 3),
  });
  assert.deepEqual([past.value, past.feature], [3, 'context:to_mean']);
  assert.equal(past.computations[0]!.expression, 'request.price / spending.mean');

  const again = await store.push(payments, [{ ...event(3, 20), __op: 'retract' }], {
    wait: 'applied',
    deadlineMs: 120_000,
  });
  assert.equal(again.rows, 1);
  assert.equal((await store.get(fraud, asked)).values.mean, 10);
});

test('mistakes in events and names are told by their place', async () => {
  const away = connect('http://localhost:1');
  const told = (code: string, field: string) => (error: any) => {
    assert.deepEqual([error.code, error.where.field], [code, field]);
    return true;
  };
  const { cents: _, ...short } = event(2, 1);
  // @ts-expect-error a column is left out
  const missing = away.push(payments, [event(1, 1), short]);
  await assert.rejects(missing, told('client/missing-field', '[1].cents'));
  // @ts-expect-error nothing is called amont
  const unknown = away.push(payments, [{ ...event(1, 1), amont: 1 }]);
  await assert.rejects(unknown, told('client/unknown-field', '[0].amont'));
  // @ts-expect-error an amount is no text
  const typed = away.push(payments, [{ ...event(1, 1), amount: 'much' }]);
  await assert.rejects(typed, told('types/wrong-type', '[0].amount'));
  // @ts-expect-error there is no such output
  const output = away.explain(fraud, 'mode', { customer_id: 1, price: 1 });
  await assert.rejects(output, told('client/unknown-output', 'mode'));
});
