/** Materialisation over a history in memory and a real online store: what is in the pages, whatever comes in between. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { materialize } from '../../src/app/materialize.ts';
import { applyChanges } from '../../src/timeline/index.ts';
import { columnOf } from '../../src/types/column.ts';
import { definitions, keyOf, payments, type Row, type World, world } from './support.ts';

let here: World;
before(async () => {
  here = await world();
  await here.apply(definitions());
});
after(() => here.close());
beforeEach(async () => {
  here.beforeBatch = async () => {};
  for (const view of ['spending', 'latest']) {
    const { id } = here.program(view);
    await here.online.dropView(id);
    await here.online.putMeta(`materialized/${id}`, new TextEncoder().encode('null'));
    await here.online.putMeta(`run/${id}`, new TextEncoder().encode('null'));
  }
});

/** Every customer that is stored or in history has the same events in both. */
async function assertSame(views = ['spending', 'latest']): Promise<void> {
  for (const view of views) {
    for (let customer = 0; customer < 60; customer++) {
      const [stored, expected] = [await here.stored(view, customer), here.expected(view, customer)];
      assert.deepEqual(stored, expected, `${view} of customer ${customer}`);
    }
  }
}

const counts = (results: Awaited<ReturnType<typeof materialize>>) =>
  results.map(({ view, mode, keys, rows, written, unchanged, removed }) => ({
    view,
    mode,
    keys,
    rows,
    written,
    unchanged,
    removed,
  }));

/** What another process does that pushes an event: into history, then into the page. */
async function push(view: string, row: Row): Promise<void> {
  here.rows = [...here.rows, row];
  const program = here.program(view);
  const page = { view: program.id, key: keyOf(row.customer) };
  const [head] = await here.online.heads([page]);
  const stored = head && (await here.online.blocks(page, [0, 1, 2, 3, 4, 5]));
  const update = applyChanges(
    program.layout,
    { head: head?.bytes, block: (n) => stored?.[n] },
    {
      length: 1,
      timeUs: Float64Array.of(row.t),
      arrivalUs: null,
      id: BigInt64Array.of(BigInt(row.id)),
      columns: program.layout.columns.map((dtype) => columnOf(dtype, [row.amount])),
      retract: null,
    },
  );
  const write = { ...page, expect: head?.version ?? 0, ...update! };
  assert.deepEqual(await here.online.compareAndSet([write]), [true]);
}

test('a full run stores the events of every key; a second one finds nothing to do', async () => {
  here.rows = payments(20_000, 50);
  const first = await materialize(here, { full: true });
  assert.deepEqual(
    counts(first),
    [
      {
        view: 'latest',
        mode: 'full',
        keys: 50,
        rows: 20_000,
        written: 50,
        unchanged: 0,
        removed: 0,
      },
      {
        view: 'spending',
        mode: 'full',
        keys: 50,
        rows: 20_000,
        written: 50,
        unchanged: 0,
        removed: 0,
      },
    ].toSorted(
      (x, y) =>
        first.findIndex((r) => r.view === x.view) - first.findIndex((r) => r.view === y.view),
    ),
  );
  await assertSame();
  for (const { written, unchanged } of await materialize(here, { full: true }))
    assert.deepEqual([written, unchanged], [0, 50]);
  for (const { mode } of await materialize(here)) assert.equal(mode, 'current');
  const jobs = await here.registry.jobs();
  assert.equal(jobs.length, 6);
  assert.ok(jobs.every((job) => job.status === 'succeeded'));
});

test('an incremental run looks only at keys with new events, less lateness', async () => {
  const hourAgo = payments(50, 50);
  const newest = { ...hourAgo[5]!, id: 70, t: hourAgo[0]!.t + 2 * 3_600e6 };
  here.rows = [...hourAgo, newest];
  await materialize(here);
  const late = { customer: 1, id: 71, t: newest.t - 3_000e6, amount: 1 };
  here.rows = [...here.rows, late, { customer: 2, id: 72, t: newest.t + 1, amount: 2 }];
  const read: unknown[] = [];
  here.beforeBatch = async ({ changedSinceUs }) => {
    read.push(changedSinceUs);
  };
  for (const { mode, keys, written, unchanged } of await materialize(here))
    assert.deepEqual([mode, keys, written, unchanged], ['incremental', 3, 2, 1]);
  assert.deepEqual(read, [newest.t - 3_600e6, newest.t - 3_600e6]);
  await assertSame();
});

test('what history no longer has is removed in a full run', async () => {
  here.rows = payments(600, 60);
  await materialize(here);
  here.rows = here.rows
    .filter((row) => row.customer % 10 !== 3)
    .flatMap((row) => (row.customer % 10 === 4 ? [row, { ...row, retract: true }] : [row]));
  // Six customers are gone; six of whom all was retracted keep a page that says so.
  for (const { removed, keys, rows } of await materialize(here, { full: true }))
    assert.deepEqual([removed, keys, rows], [6, 54, 480]);
  await assertSame();
  assert.equal((await here.online.size(here.program('latest').id)).keys, 54);
});

test('pages that are replaced by others never reuse a block’s number', async () => {
  here.rows = payments(4_000, 2);
  await materialize(here, { views: ['latest'] });
  const { id } = here.program('latest');
  const before = await here.online.blocks({ view: id, key: keyOf(1) }, [1, 2, 3]);
  assert.ok(before[0] !== undefined);
  here.rows = here.rows.map((row) => ({ ...row, amount: 5 }));
  await materialize(here, { views: ['latest'], full: true });
  await assertSame(['latest']);
  const after = await here.online.blocks({ view: id, key: keyOf(1) }, [1, 2, 3]);
  assert.deepEqual(after, [undefined, undefined, undefined]);
  const [again] = await materialize(here, { views: ['latest'], full: true });
  assert.deepEqual([again!.written, again!.unchanged], [0, 2]);
});

test('an event that is pushed while history is read is not lost, whether the key is new or not', async () => {
  here.rows = payments(300, 50).filter((row) => row.customer !== 17);
  await materialize(here, { views: ['latest'] });
  here.rows = here.rows.map((row) => ({ ...row, amount: 1 }));
  let pushed = false;
  here.beforeBatch = async () => {
    if (pushed) return;
    pushed = true;
    const t = here.rows.at(-1)!.t + 1;
    await push('latest', { customer: 17, t, id: 900_001, amount: 2 });
    await push('latest', { customer: 7, t, id: 900_002, amount: 3 });
    await push('latest', { customer: 0, t, id: 900_003, amount: 4 });
  };
  await materialize(here, { views: ['latest'], full: true });
  await assertSame(['latest']);
});

test('two runs at once leave what one leaves', async () => {
  here.rows = payments(5_000, 50);
  here.beforeBatch = () => new Promise((resolve) => setImmediate(resolve));
  const rowsPerShard = 1_000;
  await Promise.all([materialize(here, { rowsPerShard }), materialize(here, { full: true })]);
  await assertSame();
  assert.equal((await here.online.size(here.program('latest').id)).keys, 50);
});

test('only the entities that are named are touched', async () => {
  here.rows = payments(600, 60);
  const entities = [{ customer_id: 3 }, { customer_id: '4' }, { customer_id: 999 }];
  for (const result of await materialize(here, { entities }))
    assert.deepEqual([result.mode, result.keys, result.written], ['entities', 2, 2]);
  assert.equal((await here.online.size(here.program('latest').id)).keys, 2);
  await assert.rejects(materialize(here, { entities: [{ customer: 3 }] }), {
    code: 'app/bad-entity',
  });
  await assert.rejects(materialize(here, { entities: [{ customer_id: 'x' }] }), {
    code: 'types/wrong-type',
  });
});

test('a run that was stopped goes on where it was', async () => {
  here.rows = payments(6_000, 60);
  const controller = new AbortController();
  const read: number[] = [];
  here.beforeBatch = async ({ shard }) => {
    read.push(shard!.index);
    if (shard!.index === 3) controller.abort(new Error('stopped'));
  };
  const request = { views: ['spending'], rowsPerShard: 1_000 };
  await assert.rejects(materialize(here, { ...request, signal: controller.signal }), /stopped/);
  assert.deepEqual([...new Set(read)], [0, 1, 2, 3]);
  assert.equal((await here.registry.jobs())[0]!.status, 'interrupted');
  read.length = 0;
  here.beforeBatch = async ({ shard }) => {
    read.push(shard!.index);
  };
  const [result] = await materialize(here, request);
  assert.deepEqual([...new Set(read)], [3, 4, 5]);
  assert.deepEqual([result!.keys, result!.rows], [60, 6_000]);
  await assertSame(['spending']);
});

test('a run that was stopped begins anew if history has changed', async () => {
  here.rows = payments(3_000, 60);
  const controller = new AbortController();
  here.beforeBatch = async ({ shard }) => {
    if (shard!.index === 2) controller.abort(new Error('stopped'));
  };
  const request = { views: ['spending'], rowsPerShard: 1_000 };
  await assert.rejects(materialize(here, { ...request, signal: controller.signal }));
  here.rows = [...here.rows, ...payments(30, 60, 9_000)];
  here.beforeBatch = async () => {};
  await materialize(here, request);
  await assertSame(['spending']);
});

test('a damaged page is made anew by a full run', async () => {
  here.rows = payments(3_000, 3);
  await materialize(here, { views: ['latest'] });
  const { id } = here.program('latest');
  const [head0, head1] = await here.online.heads([0, 1].map((n) => ({ view: id, key: keyOf(n) })));
  const bytes = head0!.bytes.slice();
  bytes[40]! ^= 1;
  const nothing = { putBlocks: new Map(), dropBlocks: [] };
  await here.online.compareAndSet([
    { view: id, key: keyOf(0), expect: head0!.version, head: bytes, ...nothing },
    {
      view: id,
      key: keyOf(1),
      expect: head1!.version,
      head: head1!.bytes,
      putBlocks: new Map([[2, bytes]]),
      dropBlocks: [],
    },
  ]);
  const [result] = await materialize(here, { views: ['latest'], full: true });
  assert.deepEqual([result!.written, result!.unchanged], [2, 1]);
  await assertSame(['latest']);
});

test('an older version that a service names is kept fresh', async () => {
  here.rows = payments(100, 10);
  const old = here.program('spending');
  const views = (await here.registry.load()).filter(({ kind }) => kind === 'featureView').length;
  await here.apply(definitions(14));
  assert.equal(
    (await here.registry.load()).filter(({ kind }) => kind === 'featureView').length,
    views + 1,
  );
  const results = await materialize(here, { views: ['spending'] });
  assert.deepEqual(results.map(({ version }) => version).sort(), [1, 2]);
  assert.deepEqual(await here.stored('spending', 3, old), here.expected('spending', 3, old));
  assert.deepEqual(await here.stored('spending', 3), here.expected('spending', 3));
});

test('failures are recorded, and jobs whose process is gone are found', async () => {
  here.rows = payments(100, 10);
  here.beforeBatch = async () => {
    throw new Error('no history today');
  };
  await assert.rejects(materialize(here, { views: ['latest'] }), /no history today/);
  assert.match((await here.registry.jobs())[0]!.error!, /no history today/);
  const job = { kind: 'materialize', view: 'latest', version: 1, startedUs: 1 };
  await here.registry.startJob({ id: `gone-${2 ** 22 + 1}`, ...job });
  await here.registry.startJob({ id: `lives-${process.ppid}`, ...job });
  await here.registry.startJob({ id: `before-${process.pid}`, ...job });
  here.beforeBatch = async () => {};
  await materialize(here, { views: ['latest'] });
  const status = Object.fromEntries(
    (await here.registry.jobs()).map(({ id, status: s }) => [id.split('-')[0], s]),
  );
  assert.deepEqual(
    [status.gone, status.before, status.lives],
    ['interrupted', 'interrupted', 'running'],
  );
});

test('an unknown view is refused with what was meant', async () => {
  await assert.rejects(materialize(here, { views: ['spendin'] }), {
    code: 'app/unknown-view',
    hint: 'did you mean "spending"?',
  });
});
