/** What is changed behind the back, in a page, in the log or in what it says of positions, is found and told with its event. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { materialize } from '../../src/app/materialize.ts';
import type { ToldEvent } from '../../src/app/prove_page.ts';
import { push } from '../../src/app/push.ts';
import { applyHere } from '../../src/app/streams.ts';
import { compileView } from '../../src/model/index.ts';
import type { LoggedPage, LoggedVector } from '../../src/offline/feature_log_contract.ts';
import { applyChanges } from '../../src/timeline/index.ts';
import { columnOf } from '../../src/types/column.ts';
import { int64 } from '../../src/types/dtype.ts';
import { encodeKey } from '../../src/types/key.ts';
import { pushRows } from './project.ts';
import { CUSTOMERS, FALLING, START_US, type World, world } from './prove_world.ts';

const payment = (id: number, secondsAgo: number, customer_id = 1) => ({
  id,
  at: START_US - secondsAgo * 1e6,
  customer_id,
  city: 'Rome',
  amount: id / 8,
});

/** Three payments of customer 1, at positions 0, 1 and 3; one of customer 2 at position 2. */
async function filled(): Promise<World> {
  const here = await world(40, FALLING);
  await materialize(here.app);
  here.clock.advanceUs(60e6);
  const rows = [payment(1001, 300), payment(1002, 200), payment(1003, 100, 2), payment(1004, 50)];
  await pushRows(here.app, 'payments', rows);
  await pushRows(here.app, 'accounts', [payment(1, 10)]);
  here.clock.advanceUs(1e6);
  return here;
}

/** The vector with another page of a view. */
function withPage(
  vector: LoggedVector,
  view: string,
  change: (page: LoggedPage) => Partial<LoggedPage>,
): LoggedVector {
  const pages = vector.pages.map((page) =>
    page.view === view ? { ...page, ...change(page) } : page,
  );
  return { ...vector, pages };
}

const told = (events: readonly ToldEvent[]) =>
  events.map(({ id, served, place }) => `${served} ${id} ${place?.position}`);

test('a page that lost an event is told by it; repaired, it is right again', async () => {
  const here = await filled();
  const { app } = here;
  await here.serve([1]);
  const program = compileView(await app.definitions(), 'spending');
  const page = { view: program.id, key: encodeKey([1n], [int64]) };
  const [head] = await app.online.heads([page]);
  const gone = applyChanges(
    program.layout,
    { head: head!.bytes, block: () => undefined },
    {
      length: 1,
      timeUs: Float64Array.of(payment(1002, 200).at),
      arrivalUs: Float64Array.of(here.clock.nowUs()),
      id: BigInt64Array.of(1002n),
      columns: program.layout.columns.map((dtype) => columnOf(dtype, [null])),
      retract: Uint8Array.of(1),
    },
  )!;
  const { putBlocks, dropBlocks } = gone;
  const write = { ...page, expect: head!.version, head: gone.head, putBlocks, dropBlocks };
  assert.deepEqual(await app.online.compareAndSet([write]), [true]);
  here.clock.advanceUs(1e6);
  await here.serve([1, 2]);
  await here.serveList(1);
  const proof = await here.prove();
  const wrong = proof.told.map(({ servedUs, row, view, key, feature }) => [
    servedUs - START_US,
    row,
    view,
    key,
    feature,
  ]);
  const names = ['n', 'mean', 'total', 'last'];
  const of = (feature: string) => [62e6, 0, 'spending', 'customer_id=1', feature];
  assert.deepEqual(wrong, [...names, ...names].map(of));
  for (const { events } of proof.told) assert.deepEqual(told(events), ['lacks 1002 1']);
  assert.equal(proof.told[0]!.served, '2');
  assert.equal(proof.told[0]!.expected, '3');
  assert.equal(proof.mismatches, 8);

  const comparisons = (await app.registry.comparisons()).filter(({ by }) => by === 'prove');
  const spending = comparisons.find(({ view }) => view === 'spending');
  assert.equal(spending!.different, 8);
  assert.equal(comparisons.find(({ view }) => view === 'large')!.different, 0);
  const jobs = await app.registry.jobs({ view: 'spending' });
  assert.deepEqual([jobs[0]!.kind, jobs[0]!.status], ['prove', 'succeeded']);
  await app.close();
});

test('what was withheld because it was stale is no mismatch, and what stood in for it is proven', async () => {
  const here = await filled();
  const vectors = await here.serveWithheld([1, 99]);
  const { outputs } = vectors.program.plan;
  const status = (row: number, name: string) =>
    vectors.status(
      row,
      outputs.findIndex((output) => output.name === name),
    );
  assert.deepEqual([status(0, 'n'), status(0, 'mean')], ['FALLBACK_1', 'FALLBACK_1']);
  assert.deepEqual([status(1, 'n'), status(1, 'mean')], ['STALE', 'STALE']);
  const proof = await here.prove();
  assert.deepEqual([proof.mismatches, proof.told], [0, []]);
  const [vector] = here.logged as [LoggedVector];
  const i = vector.features.indexOf('mean');
  const values = vector.values.map((text, at) => (at === i ? '1.5' : text));
  const { told: found } = await here.prove([{ ...vector, values }]);
  assert.deepEqual(
    found.map(({ feature, served }) => [feature, served]),
    [['mean', '1.5']],
  );
  await here.app.close();
});

test('a value of the log that is another by one bit is told', async () => {
  const here = await filled();
  await here.serve([1]);
  const [vector] = here.logged as [LoggedVector];
  const i = vector.features.indexOf('mean');
  const bits = new Float64Array([Number(vector.values[i])]);
  new BigInt64Array(bits.buffer)[0]!++;
  const value = String(bits[0]);
  const change = (texts: readonly string[]) => texts.map((text, at) => (at === i ? value : text));
  const answered = { ...vector, values: change(vector.values) };
  const both = withPage(answered, 'spending', ({ values }) => ({ values: change(values) }));
  for (const [changed, feature, view] of [
    [answered, 'mean', 'spending'],
    [both, 'mean', 'spending'],
    [{ ...vector, inputs: vector.inputs.replace('12.5', '12.6') }, 'to_mean', 'context'],
    [{ ...vector, inputs: '{"customer_id":1}' }, 'inputs', 'spending'],
    [withPage(vector, 'local', ({ key }) => ({ key: `${key!.slice(0, -2)}00` })), null, 'local'],
  ] as const) {
    const { told: found } = await here.prove([changed]);
    assert.ok(found.length > 0, String(feature));
    assert.equal(found[0]!.view, view);
    if (feature === null) continue;
    assert.deepEqual(
      found.map((one) => [one.feature, one.events]),
      [[feature, []]],
    );
  }
  assert.equal((await here.prove()).mismatches, 0);
  await here.app.close();
});

test('a position that is off by one is told by the event that it adds or leaves out', async () => {
  const here = await filled();
  await here.serve([1, 2]);
  // In the log, and nowhere else yet.
  const streaming = await here.app.streaming();
  const next = [payment(1005, 5)];
  await push(streaming, { source: 'payments', rows: next, wait: 'durable' }, () => assert.fail());
  here.clock.advanceUs(1e6);
  await here.serve([1]);
  await pushRows(here.app, 'payments', [payment(1006, 4, 0)]);
  const [one, two, behind] = here.logged as [LoggedVector, LoggedVector, LoggedVector];
  const at = (vector: LoggedVector, position: string) =>
    withPage(vector, 'spending', () => ({ positions: { 0: position } }));
  const spending = one.pages.find(({ view }) => view === 'spending')!;
  assert.deepEqual(spending.positions, { 0: '3' });
  const suspects = async (vector: LoggedVector) => {
    const { told: found } = await here.prove([vector]);
    return [...new Set(found.flatMap(({ events }) => told(events)))];
  };
  assert.deepEqual(await suspects(at(one, '2')), ['has 1004 3']);
  assert.deepEqual(await suspects(at(two, '1')), ['has 1003 2']);
  assert.deepEqual(await suspects(at(behind, '4')), ['lacks 1005 4']);
  const proof = await here.prove();
  assert.equal(proof.mismatches, 0);
  // Right as they were, and two of them other by now: what had arrived, and what arrived later.
  const stale = proof.stale
    .filter(({ view }) => view === 'spending')
    .map(({ row, behind: was, events }) => [row, was, told(events)]);
  assert.deepEqual(stale, [
    [0, false, ['lacks 1005 4']],
    [0, true, ['lacks 1005 4']],
  ]);
  await here.app.close();
});

test('what history has not got, or the registry does not know, is counted and is no mismatch', async () => {
  const here = await filled();
  await here.serve([1, CUSTOMERS + 7]);
  const [vector, nobody] = here.logged as [LoggedVector, LoggedVector];
  const gone = withPage(vector, 'spending', () => ({ positions: { 0: '99' } }));
  const other = withPage(vector, 'spending', () => ({ id: '0123456789abcdef' }));
  const older = { ...vector, service: { name: 'fraud', version: 9 } };
  const proof = await here.prove([vector, nobody, gone, other, older]);
  assert.deepEqual(proof.unprovable, { 'not-in-history': 1, 'not-registered': 2 });
  assert.deepEqual([proof.mismatches, proof.proven], [0, 2]);
  assert.equal((await here.prove([])).vectors, 0);
  await here.app.close();
});

test('a row of a table that moved to another key is told by both', async () => {
  const here = await filled();
  await here.serve([1, 2]);
  await pushRows(here.app, 'accounts', [payment(1, 10, 2)]);
  const streaming = await here.app.streaming();
  const back = { source: 'accounts', rows: [payment(1, 10, 1)], wait: 'durable' } as const;
  await push(streaming, back, () => assert.fail());
  here.clock.advanceUs(1e6);
  await here.serve([1, 2]);
  await here.app
    .streaming()
    .then((app) =>
      push(app, { ...back, rows: [payment(2, 9, 0)], wait: 'applied' }, (of, places) =>
        applyHere(app, of, places),
      ),
    );
  const proof = await here.prove();
  assert.equal(proof.mismatches, 0);
  const stale = proof.stale
    .filter(({ view }) => view === 'held')
    .map(({ key, behind, events }) => [key, behind, told(events)]);
  assert.deepEqual(stale, [
    ['customer_id=1', true, ['lacks 1 2']],
    ['customer_id=2', true, ['has 1 2']],
  ]);
  await here.app.close();
});
