/** The embedded log against arrays: several handles on one folder append, read, seek and forget in any order. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { manualClock } from '../../src/base/clock.ts';
import { SamewiseError } from '../../src/base/errors.ts';
import type { Consumer, NewRecord } from '../../src/stream/contract.ts';
import { type EmbeddedLog, openEmbeddedLog } from '../../src/stream/embedded/log.ts';
import { contentOf, nextWithin } from '../conformance/event_log_fixture.ts';
import { cases } from '../support/cases.ts';

const path = mkdtempSync(join(tmpdir(), 'samewise-log-'));
const clock = manualClock(0);
/** One handle for each number of partitions that a topic may be made with. */
const openHandle = (i: number) => openEmbeddedLog({ path, clock, partitions: i + 1 });
const handles: EmbeddedLog[] = [];
for (let i = 0; i < 3; i++) handles.push(await openHandle(i));
/** Of the run that is under way: one that failed left it open. */
let own: EmbeddedLog | null = null;
after(async () => {
  for (const handle of [...handles, own]) await handle?.close();
  rmSync(path, { recursive: true });
});

const handle = fc.nat(2);
const bytes = fc.uint8Array({ maxLength: 30 });
const one = fc.record({ key: fc.option(bytes), value: fc.option(bytes, { freq: 9 }) });
const command = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      handle,
      records: fc.array(one, { maxLength: 12 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      reader: fc.nat(1),
      times: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('seek' as const),
      reader: fc.nat(1),
      partition: fc.nat(2),
      to: fc.double({ min: 0, max: 1.05, noNaN: true }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('forget' as const),
      handle,
      maxAgeUs: fc.nat(40),
      maxBytes: fc.nat(600),
      byAge: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('clock' as const),
      byUs: fc.integer({ min: -20, max: 40 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const), handle }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      handle,
      timeUs: fc.integer({ min: -10, max: 60 }),
    }),
  },
);

interface Kept {
  readonly content: unknown[];
  readonly timestampUs: number;
}
/** Records that one append put into one partition: they go together. */
interface Group {
  readonly partition: number;
  readonly end: number;
  readonly lastUs: number;
}
/** The last timestamp that the log gave, whatever the topic; its first one is not before 0. */
let stampUs = -1;

/** A topic as arrays: what was ever appended, and from where on it is kept. */
class Model {
  readonly kept: Kept[][];
  readonly first: number[];
  groups: Group[] = [];

  constructor(partitions: number) {
    this.kept = Array.from({ length: partitions }, () => []);
    this.first = this.kept.map(() => 0);
  }

  append(
    records: readonly NewRecord[],
    places: readonly { partition: string; position: bigint }[],
  ) {
    const touched = new Set<number>();
    const nowUs = Math.max(clock.nowUs(), stampUs + 1);
    places.forEach(({ partition, position }, i) => {
      const own = this.kept[Number(partition)]!;
      assert.equal(position, BigInt(own.length));
      const timestampUs = Math.max(nowUs, (own.at(-1)?.timestampUs ?? -Infinity) + 1);
      stampUs = Math.max(stampUs, timestampUs);
      own.push({ content: contentOf(records[i]!), timestampUs });
      touched.add(Number(partition));
    });
    for (const partition of touched) {
      const own = this.kept[partition]!;
      this.groups.push({ partition, end: own.length, lastUs: own.at(-1)!.timestampUs });
    }
  }

  /** The oldest group goes. */
  forget(): number {
    const [oldest] = this.groups.toSorted(
      (a, b) => a.lastUs - b.lastUs || a.partition - b.partition,
    );
    this.groups = this.groups.filter((group) => group !== oldest);
    const count = oldest!.end - this.first[oldest!.partition]!;
    this.first[oldest!.partition] = oldest!.end;
    return count;
  }

  forgetOlder(thanUs: number): number {
    let count = 0;
    while (this.groups.some(({ lastUs }) => lastUs < thanUs)) count += this.forget();
    return count;
  }
}

/** A reader with its place in each partition; undefined: it has not sought. */
interface Reader {
  readonly consumer: Consumer;
  readonly records: number;
  readonly at: (number | undefined)[];
}

async function readOnce(reader: Reader, model: Model): Promise<void> {
  const { consumer, at } = reader;
  const hasMore = at.some(
    (position, p) => position !== undefined && position !== model.kept[p]!.length,
  );
  if (!hasMore) return;
  try {
    const event = await nextWithin(consumer, 2_000);
    assert.ok(event?.type === 'records');
    const partition = Number(event.partition);
    const own = model.kept[partition]!;
    const from = at[partition]!;
    const to = from + event.records.length;
    assert.ok(event.records.length >= 1 && event.records.length <= reader.records);
    assert.equal(event.next, BigInt(own.length));
    assert.deepEqual(
      event.records.map((r) => ({
        position: r.position,
        timestampUs: r.timestampUs,
        content: contentOf(r),
      })),
      own.slice(from, to).map((kept, i) => ({
        position: BigInt(from + i),
        timestampUs: kept.timestampUs,
        content: kept.content,
      })),
    );
    at[partition] = to;
  } catch (error) {
    if (!(error instanceof SamewiseError)) throw error;
    const partition = Number(error.where.partition);
    const position = at[partition]!;
    assert.equal(error.where.position, String(position));
    if (error.code === 'stream/position-gone') {
      assert.ok(position < model.first[partition]!, `${position} is kept`);
      at[partition] = model.first[partition]!;
    } else {
      assert.equal(error.code, 'stream/position-ahead');
      assert.ok(position > model.kept[partition]!.length, `${position} was written`);
      at[partition] = model.kept[partition]!.length;
    }
    consumer.seek(String(partition), BigInt(at[partition]!));
  }
}

let topics = 0;
test('appends, reads, seeks and retention of several handles give what arrays would give', async () => {
  await fc.assert(
    fc.asyncProperty(
      handle,
      fc.integer({ min: 1, max: 8 }),
      fc.array(command, { minLength: 5, maxLength: 40 }),
      async (maker, limit, commands) => {
        const topic = `t${topics++}`;
        const partitions = (await handles[maker]!.partitions(topic)).length;
        const model = new Model(partitions);
        const startUs = stampUs + 1;
        clock.advanceUs(startUs - clock.nowUs());
        // Readers have handles of their own, for others are closed meanwhile.
        await own?.close();
        own = await openHandle(0);
        const readers: Reader[] = [];
        for (const records of [limit, 5_000]) {
          const consumer = await own.consume(topic, { group: `g${records}`, limits: { records } });
          const at = model.kept.map(() => undefined);
          for (let i = 0; i < partitions; i++)
            assert.equal((await nextWithin(consumer, 2_000))?.type, 'assigned');
          readers.push({ consumer, records, at });
        }
        for (const step of commands) {
          if (step.do === 'append') {
            model.append(step.records, await handles[step.handle]!.append(topic, step.records));
          } else if (step.do === 'read') {
            for (let i = 0; i < step.times; i++) await readOnce(readers[step.reader]!, model);
          } else if (step.do === 'seek') {
            const partition = step.partition % partitions;
            const to = Math.floor(step.to * model.kept[partition]!.length);
            const { consumer, at } = readers[step.reader]!;
            at[partition] = to;
            consumer.seek(String(partition), BigInt(to));
          } else if (step.do === 'forget') {
            const { byAge, maxAgeUs, maxBytes } = step;
            const dropped = await handles[step.handle]!.retain(
              topic,
              byAge ? { maxAgeUs } : { maxBytes },
            );
            if (byAge) assert.equal(dropped.records, model.forgetOlder(clock.nowUs() - maxAgeUs));
            else
              for (let left = dropped.records; left > 0; ) assert.ok((left -= model.forget()) >= 0);
          } else if (step.do === 'clock') clock.advanceUs(step.byUs);
          else if (step.do === 'reopen') {
            await handles[step.handle]!.close();
            handles[step.handle] = await openHandle(step.handle);
          } else {
            const ends = await handles[step.handle]!.ends(topic);
            const timeUs = startUs + step.timeUs;
            const at = await handles[step.handle]!.positionsAt(topic, timeUs);
            model.kept.forEach((records, p) => {
              const first = model.first[p]!;
              assert.deepEqual(ends.get(String(p)), {
                first: BigInt(first),
                next: BigInt(records.length),
              });
              const found = records.findIndex((r, i) => i >= first && r.timestampUs >= timeUs);
              assert.equal(at.get(String(p)), BigInt(found < 0 ? records.length : found));
            });
          }
        }
        for (const reader of readers) for (let i = 0; i < 600; i++) await readOnce(reader, model);
        for (const { at } of readers)
          at.forEach((position, p) => {
            assert.ok(
              position === undefined || position === model.kept[p]!.length,
              'read to the end',
            );
          });
      },
    ),
    { numRuns: cases(60) },
  );
});
