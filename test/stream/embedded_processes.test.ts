/** The embedded log between processes: they append and read at once, die at any instant, run out of room, and take over. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { openEmbeddedLog } from '../../src/stream/embedded/log.ts';
import { readAll, readUntil, record } from '../conformance/event_log_fixture.ts';
import { cases } from '../support/cases.ts';
import { batchesIn, batchOf } from './embedded_batches.ts';

const CHILD = join(import.meta.dirname, 'embedded_child.ts');
const path = mkdtempSync(join(tmpdir(), 'samewise-log-'));
after(() => rmSync(path, { recursive: true }));
const log = await openEmbeddedLog({ path, clock: systemClock, partitions: 2 });
after(() => log.close());

/** A child with what it printed so far. */
interface Child {
  readonly process: ChildProcess;
  readonly printed: unknown[];
  kill(): Promise<void>;
}

function start(...args: string[]): Child {
  const child = spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const printed: unknown[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    // A line that a kill cut short was not said.
    if (line.endsWith('}') || /^\d+$/.test(line)) printed.push(JSON.parse(line));
  });
  const closed = Promise.all([once(child, 'close'), once(lines, 'close')]);
  const kill = async () => {
    child.kill('SIGKILL');
    await closed;
  };
  return { process: child, printed, kill };
}

async function until(what: string, reached: () => boolean, ms = 10_000): Promise<void> {
  for (const end = performance.now() + ms; !reached(); ) {
    assert.ok(performance.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('what was acknowledged to processes that are killed at any instant is there once and in order, and nothing half', async (t) => {
  const topic = 'killed';
  const reader = await log.consume(topic, { group: 'reader' });
  const names: string[] = [];
  const acknowledged = new Map<string, number>();
  for (let round = 0; round < cases(3); round++) {
    const pair = [`a${round}`, `b${round}`];
    const children = pair.map((name) => start('append', path, topic, name));
    await until('both append', () => children.every(({ printed }) => printed.length > 0));
    for (const [i, child] of children.entries()) {
      // The second one lives on where the first died, holding the lock perhaps.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
      const before = children[1]!.printed.length;
      await child.kill();
      if (i === 0) await until('the other goes on', () => children[1]!.printed.length > before);
      acknowledged.set(pair[i]!, Math.max(...(child.printed as number[])) + 1);
    }
    names.push(...pair);
  }
  await log.append(topic, batchOf('end', 0));
  const ends = await log.ends(topic);
  // One that was there all the time has seen what one that comes now sees.
  const early = await readUntil(
    reader,
    (read) => [...ends].every(([p, { next }]) => read.get(p)?.at(-1)?.position === next - 1n),
    { from: () => 0n },
  );
  await reader.close();
  assert.deepEqual(early, await readAll(log, topic, 'late'));
  for (const records of early.values())
    for (let i = 1; i < records.length; i++) {
      assert.equal(records[i]!.position, BigInt(i));
      assert.ok(records[i]!.timestampUs > records[i - 1]!.timestampUs);
    }
  let all = 0;
  for (const name of names) {
    const found = batchesIn(early, name);
    all += found;
    const known = acknowledged.get(name)!;
    assert.ok(found >= known && found <= known + 2, `${name}: ${found} of ${known}`);
  }
  t.diagnostic(`${names.length} processes killed, ${all} batches`);
});

test('a full disk is a coded error with nothing half stored; what was acknowledged is there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'samewise-log-'));
  await (await openEmbeddedLog({ path: folder, clock: systemClock, partitions: 2 })).close();
  // The shell's limit on the size of files stands for a full disk.
  const run = spawnSync(
    'bash',
    ['-c', 'ulimit -f 6000; exec "$0" "$@"', process.execPath, CHILD, 'fill', folder, 'full'],
    { encoding: 'utf8', timeout: 15_000 },
  );
  const { code, batch } = JSON.parse(run.stdout) as { code: string; batch: number };
  assert.equal(code, 'stream/full');
  assert.ok(batch > 3);
  const after = await openEmbeddedLog({ path: folder, clock: systemClock, partitions: 2 });
  assert.equal(batchesIn(await readAll(after, 'full', 'g'), 'fill'), batch);
  await after.append('full', batchOf('fill', batch));
  assert.equal(batchesIn(await readAll(after, 'full', 'h'), 'fill'), batch + 1);
  await after.close();
  rmSync(folder, { recursive: true });
});

test('the partitions of a process that was killed are taken over when its lease ends', async () => {
  const topic = 'leases';
  await log.append(
    topic,
    Array.from({ length: 100 }, (_, i) => record(`${i}`)),
  );
  const child = start('consume', path, topic, 'group');
  const said = (type: string) =>
    child.printed.filter((event) => (event as { type?: string } | null)?.type === type).length;
  await until('it has both', () => said('assigned') === 2);
  // Ahead of the other's clock: its lease ends soon, but only if it does not renew it.
  let aheadUs = 0;
  const clock = { ...systemClock, nowUs: () => systemClock.nowUs() + aheadUs };
  const mine = await openEmbeddedLog({ path, clock, partitions: 2 });
  const consumer = await mine.consume(topic, { group: 'group' });
  const held = new Set<string>();
  const reading = (async () => {
    for (let event = await consumer.next(); event !== null; event = await consumer.next()) {
      if (event.type === 'assigned') {
        held.add(event.partition);
        consumer.seek(event.partition, 0n);
      } else if (event.type === 'revoked') held.delete(event.partition);
    }
  })();
  await until('it lets go of one', () => said('revoked') === 1 && held.size === 1);
  await child.kill();
  aheadUs = 3_000_000;
  await until('both are mine', () => held.size === 2, 5_000);
  await consumer.close();
  await reading;
  await mine.close();
});
