/**
 * The history of streams against a plain model: several writers race, some with what they knew long ago, compaction runs between, and
 * whoever is at work is stopped at any step that he does to the disk. What was acknowledged is there, once; the rest is whole or not at all.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { manualClock } from '../../src/base/clock.ts';
import { rowsOf, text, withConnection } from '../../src/offline/duckdb/engine.ts';
import { type Disk, machineDisk } from '../../src/offline/duckdb/history_disk.ts';
import { openHistoryLog } from '../../src/offline/duckdb/history_log.ts';
import { historyOf } from '../../src/offline/duckdb/history_scan.ts';
import type { Checkpoint, HistoryLog } from '../../src/offline/history_contract.ts';
import { cases } from '../support/cases.ts';
import { commitOf, tick } from './history_support.ts';
import { openProject } from './support.ts';

const project = await openProject();
after(() => project.close());
const historyDir = project.path('history');
const folder = join(historyDir, 'ticks');
const clear = () => rmSync(historyDir, { recursive: true, force: true });
beforeEach(clear);
const { source } = commitOf('0', null, []);

const STEPS = ['folder', 'scratch', 'write', 'flush', 'link', 'remove'] as const;

class Stopped extends Error {}

/** A disk that fails at step `at`, and, if that is the end of its process, at everything after it. */
function faultyDisk(at: number, fault: () => Error, forGood: boolean): Disk {
  let steps = 0;
  const disk: Disk = { ...machineDisk };
  for (const name of STEPS) {
    const step = machineDisk[name] as (...given: string[]) => Promise<never>;
    disk[name] = (async (...given: string[]) => {
      const now = steps++;
      if (now === at || (forGood && now > at)) throw fault();
      return step(...given);
    }) as never;
  }
  return disk;
}

/** A disk that lets `other` happen before step `at`. */
function interrupted(at: number, other: () => Promise<unknown>): Disk {
  let steps = 0;
  const disk: Disk = { ...machineDisk };
  for (const name of STEPS) {
    const step = machineDisk[name] as (...given: string[]) => Promise<never>;
    disk[name] = (async (...given: string[]) => {
      if (steps++ === at) await other();
      return step(...given);
    }) as never;
  }
  return disk;
}

const clock = manualClock(0);

function logOn(disk: Disk = machineDisk): HistoryLog {
  return openHistoryLog({ engine: project.engine, historyDir, clock, disk });
}

/** Partition and position of every row that history has. */
async function rowsInHistory(): Promise<string[]> {
  const { files } = await historyOf('ticks', historyDir);
  if (files.length === 0) return [];
  const list = files.map(({ path }) => text(join(folder, path))).join(', ');
  const rows = await withConnection(project.engine, undefined, (connection) =>
    rowsOf(
      connection,
      `SELECT __partition || '/' || __position AS at FROM read_parquet([${list}])`,
    ),
  );
  return rows.map(({ at }) => String(at)).sort();
}

/** A checkpoint that is at `position`. */
function endAt(position: bigint): Checkpoint | null {
  return position === 0n ? null : commitOf('', null, [], position).to;
}

const PARTITIONS = ['a', 'b-2', ''];
type Action =
  | { type: 'commit'; partition: string; events: number; behind: number; stop: number | null }
  | { type: 'race'; partitions: readonly [string, string] }
  | { type: 'compact'; stop: number | null }
  | { type: 'wait' };

const stop = fc.option(fc.nat(30), { nil: null });
const partition = fc.constantFrom(...PARTITIONS);
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('commit' as const),
      partition,
      events: fc.nat(3),
      behind: fc.constantFrom(0, 0, 0, 1),
      stop,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('race' as const),
      partitions: fc.tuple(partition, partition),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('compact' as const), stop }) },
  { weight: 1, arbitrary: fc.constant({ type: 'wait' as const }) },
);

/** What history must hold: by partition, the end of each commit and the events up to there. */
class Model {
  readonly #ends = new Map<string, bigint[]>();
  readonly #rows: string[] = [];

  end(partition: string, behind = 0): bigint {
    return this.#ends.get(partition)?.at(-1 - behind) ?? 0n;
  }

  /** A commit of so many events on two days after what the partition had `behind` commits ago. */
  next(partition: string, events: number, behind = 0) {
    const from = this.end(partition, behind);
    const ticks = Array.from({ length: events }, (_, i) =>
      tick(from + BigInt(i) + 1n, 'u', (i % 2) * 86_400, i),
    );
    return commitOf(partition, endAt(from), ticks, from + BigInt(events) + 1n);
  }

  add({ partition, to, positions }: ReturnType<typeof commitOf>): void {
    const ends = this.#ends.get(partition) ?? [];
    this.#ends.set(partition, [...ends, to.position]);
    this.#rows.push(...positions.map((position) => `${partition}/${position}`));
  }

  async check(): Promise<void> {
    assert.deepEqual(await rowsInHistory(), this.#rows.toSorted());
    const { partitions } = await logOn().state('ticks');
    for (const [partition, ends] of this.#ends)
      assert.equal(partitions.get(partition)!.position, ends.at(-1));
  }
}

async function run(model: Model, action: Action): Promise<void> {
  const stopping = (stop: number | null) =>
    stop === null ? machineDisk : faultyDisk(stop, () => new Stopped(), true);
  switch (action.type) {
    case 'wait':
      return clock.advanceUs(2 * 3_600_000_000);
    case 'compact':
      return logOn(stopping(action.stop))
        .compact(source)
        .then(
          () => undefined,
          (error) => assert.ok(error instanceof Stopped, error),
        );
    case 'race': {
      const commits = action.partitions.map((partition, i) => model.next(partition, i + 1));
      const added = await Promise.all(commits.map((commit) => logOn().commit(commit)));
      const same = action.partitions[0] === action.partitions[1];
      assert.equal(added.filter(Boolean).length, same ? 1 : 2, 'one commit follows a checkpoint');
      for (const [i, commit] of commits.entries()) if (added[i]) model.add(commit);
      return;
    }
    case 'commit': {
      const { partition, events, behind } = action;
      const commit = model.next(partition, events, behind);
      const late = commit.after?.position !== model.next(partition, 0).after?.position;
      try {
        const added = await logOn(stopping(action.stop)).commit(commit);
        assert.equal(added, !late);
        if (added) model.add(commit);
      } catch (error) {
        assert.ok(error instanceof Stopped, String(error));
        const { partitions } = await logOn().state('ticks');
        const now = partitions.get(partition)?.position ?? 0n;
        if (!late && now === commit.to.position) model.add(commit);
      }
    }
  }
}

test('whatever happens, history is what was committed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 14 }), async (actions) => {
      clear();
      const model = new Model();
      for (const action of actions) {
        await run(model, action);
        await model.check();
      }
      // What was left lying about goes once every partition has come past it and its readers had their time.
      const log = logOn();
      for (const partition of PARTITIONS)
        for (let i = 0; i < 4; i++) {
          const commit = model.next(partition, 2);
          assert.equal(await log.commit(commit), true);
          model.add(commit);
        }
      await log.compact(source);
      clock.advanceUs(3_600_000_000);
      for (const name of readdirSync(join(folder, 'scratch')))
        utimesSync(join(folder, 'scratch', name), 0, 0);
      await log.compact(source);
      await model.check();
      const { files, dropped } = await historyOf('ticks', historyDir);
      const dates = readdirSync(folder).filter((name) => name.startsWith('date='));
      const lying = dates.flatMap((date) =>
        readdirSync(join(folder, date)).map((name) => `${date}/${name}`),
      );
      assert.deepEqual(lying.sort(), files.map(({ path }) => path).sort());
      assert.deepEqual([dropped, readdirSync(join(folder, 'scratch'))], [[], []]);
    }),
    { numRuns: cases(8) },
  );
});

test('a commit that is stopped at any step is there or not, and can be made again', async () => {
  const base = commitOf('p', null, [tick(1n, 'u', 1, 1)]);
  const next = commitOf('p', base.to, [tick(2n, 'u', 2, 2), tick(3n, 'u', 86_402, 3)]);
  let undone = 0;
  for (let at = 0; ; at++) {
    clear();
    await logOn().commit(base);
    const log = logOn(faultyDisk(at, () => new Stopped(), true));
    const ended = await log.commit(next).then(
      () => true,
      () => false,
    );
    const done = (await rowsInHistory()).length === 3;
    if (!done) undone++;
    assert.equal(await logOn().commit(next), !done);
    assert.deepEqual(await rowsInHistory(), ['p/1', 'p/2', 'p/3']);
    if (ended) {
      assert.ok(undone > 10 && at > undone, `${undone} of ${at} steps come before the commit`);
      return;
    }
  }
});

test('commits and compactions may come between any two steps of each other', async () => {
  const model = new Model();
  for (let i = 0; i < 8; i++) {
    const commit = model.next('a', 1);
    await logOn().commit(commit);
    model.add(commit);
  }
  const prepared = project.path('prepared');
  cpSync(folder, prepared, { recursive: true });
  const commitTo = (partition: string) => async (log: HistoryLog) =>
    assert.equal(await log.commit(model.next(partition, 1)), true);
  const compact = (log: HistoryLog) => log.compact(source);
  const pairs = [
    [commitTo('a'), compact],
    [compact, commitTo('b')],
    [compact, compact],
  ] as const;
  for (const [first, second] of pairs)
    for (let at = 0; ; at++) {
      clear();
      cpSync(prepared, folder, { recursive: true });
      let between = false;
      const disk = interrupted(at, async () => {
        between = true;
        await second(logOn());
      });
      await first(logOn(disk));
      if (!between) {
        assert.ok(at > 10);
        break;
      }
      const rows = await rowsInHistory();
      assert.equal(rows.length, second === first ? 8 : 9);
      assert.equal(new Set(rows).size, rows.length, 'no row is there twice');
    }
});

test('a full disk is a coded error that leaves nothing half', async () => {
  const full = () => Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  const base = commitOf('p', null, [tick(1n, 'u', 1, 1)]);
  const next = commitOf('p', base.to, [tick(2n, 'u', 2, 2), tick(3n, 'u', 86_402, 3)]);
  let undecided = 0;
  for (let at = 0; ; at++) {
    clear();
    await logOn().commit(base);
    const failed = await logOn(faultyDisk(at, full, false))
      .commit(next)
      .then(
        () => null,
        (error) => error,
      );
    if (failed === null) {
      assert.ok(at > 15);
      assert.equal(undecided, 1, 'a failed create of the manifest itself may have made it');
      return;
    }
    assert.equal(failed.code, 'offline/write-failed');
    const rows = await rowsInHistory();
    const { files } = await historyOf('ticks', historyDir);
    const dates = readdirSync(folder).filter((name) => name.startsWith('date='));
    const lying = dates.flatMap((date) => readdirSync(join(folder, date))).length;
    if (lying !== (rows.length === 3 ? files.length : 1)) undecided++;
  }
});

test('a disk that is really full', async (t) => {
  const small = project.path('small');
  mkdirSync(small);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', small], { stdio: 'ignore' });
  } catch {
    return t.skip('skipped: mounting a small disk is not permitted here');
  }
  try {
    const log = openHistoryLog({
      engine: project.engine,
      historyDir: small,
      clock,
      disk: machineDisk,
    });
    const events = Array.from({ length: 60_000 }, (_, i) => tick(BigInt(i), 'u', i, Math.sin(i)));
    const large = commitOf('p', null, events);
    await assert.rejects(log.commit(large), { code: 'offline/write-failed' });
    const left = readdirSync(join(small, 'ticks'), { recursive: true }).filter((name) =>
      String(name).includes('.'),
    );
    assert.deepEqual(left, [], 'room is made again');
    assert.equal(await log.commit(commitOf('p', null, events.slice(0, 10))), true);
    assert.equal((await log.state('ticks')).partitions.get('p')!.rows, 10);
  } finally {
    execFileSync('umount', [small]);
  }
});

test('all that a manifest names was durable before it', async () => {
  const durable = new Set<string>();
  const disk: Disk = {
    ...machineDisk,
    flush: async (path) => {
      await machineDisk.flush(path);
      if (path.includes('/scratch/')) durable.add(path);
      else for (const name of readdirSync(path)) durable.add(join(path, name));
    },
    link: async (from, to) => {
      assert.ok(durable.has(from), 'the content first');
      if (to.includes('/manifest/'))
        for (const name of readdirSync(folder).filter((name) => name.startsWith('date=')))
          for (const file of readdirSync(join(folder, name)))
            assert.ok(
              durable.has(join(folder, name, file)) && durable.has(join(folder, name)),
              `then the name ${file}`,
            );
      return machineDisk.link(from, to);
    },
  };
  const log = logOn(disk);
  let after: Checkpoint | null = null;
  for (let i = 1; i < 10; i++) {
    const commit = commitOf('p', after, [tick(BigInt(i), 'u', (i % 2) * 86_400, i)]);
    assert.equal(await log.commit(commit), true);
    after = commit.to;
  }
  await log.compact(source);
});

test('one who slept while manifests were cleaned up does not overwrite history', async () => {
  const first = commitOf('slow', null, [tick(1n, 'u', 1, 1)]);
  let after: Checkpoint | null = null;
  const others = async () => {
    for (let i = 1; i <= 70; i++) {
      const commit = commitOf('p', after, [], BigInt(i));
      assert.equal(await logOn().commit(commit), true);
      after = commit.to;
    }
  };
  let slept = false;
  const sleepy: Disk = {
    ...machineDisk,
    link: async (from, to) => {
      if (to.includes('/manifest/') && !to.endsWith('000.json') && !slept) {
        slept = true;
        await others();
        assert.ok(!existsSync(to), 'its number is free again');
      }
      return machineDisk.link(from, to);
    },
  };
  assert.equal(await logOn(sleepy).commit(first), true);
  assert.ok(slept);
  const { partitions, version } = await logOn().state('ticks');
  assert.deepEqual([partitions.get('p')!.position, partitions.get('slow')!.position], [70n, 1n]);
  assert.equal(version, 71);
  assert.ok(readdirSync(join(folder, 'manifest')).length < 40, 'old manifests are removed');
});
