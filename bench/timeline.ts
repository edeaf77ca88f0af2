/**
 * The timeline alone: one key with 10 to 100,000 events in its longest window, pages in a Map (which holds them as
 * a store would: each in a buffer of its own) and in LMDB. Four windows × three aggregates of one float64.
 *
 *   node bench/timeline.ts
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import type { Window } from '../src/aggregate/index.ts';
import { completeSpec, LIFETIME } from '../src/aggregate/index.ts';
import { US_PER_DAY } from '../src/base/time.ts';
import {
  applyChanges,
  buildPages,
  type Changes,
  type Events,
  type Layout,
  readTimeline,
} from '../src/timeline/index.ts';
import { float64 } from '../src/types/dtype.ts';
import { type BenchReport, printBenchReport } from './report.ts';

const WINDOW_DAYS = [1, 7, 14, 30];
const over = (days: number): Window => ({ ...LIFETIME, sizeUs: days * US_PER_DAY });

export const LAYOUT: Layout = {
  columns: [float64],
  aggregates: [
    { spec: completeSpec('count'), input: -1 },
    { spec: completeSpec('sum'), input: 0 },
    { spec: completeSpec('avg'), input: 0 },
  ],
  reads: WINDOW_DAYS.flatMap((days) =>
    [0, 1, 2].map((aggregate) => ({ aggregate, window: over(days) })),
  ),
  mutable: false,
  retentionUs: null,
};

const END_US = 1_700_000_000_000_000;

export interface TimelineRow {
  readonly events: number;
  readonly readUsP50: number;
  readonly readUsP99: number;
  readonly lmdbReadUsP50: number;
  readonly lmdbReadUsP99: number;
  readonly updateUsMean: number;
  readonly updateUsP99: number;
  readonly lateUsMean: number;
  readonly bytes: number;
  readonly lmdbBytes: number;
}

/** Money at random times of the 30 days before END_US. */
function history(count: number): Events {
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return seed / 0x80000000;
  };
  const timeUs = Float64Array.from({ length: count }, () =>
    Math.floor(END_US - random() * 30 * US_PER_DAY),
  ).sort();
  return {
    length: count,
    timeUs,
    arrivalUs: null,
    id: BigInt64Array.from({ length: count }, (_, i) => BigInt(i) * 0x9e3779b97f4a7c1n),
    columns: [
      {
        kind: 'float64',
        dtype: float64,
        length: count,
        validity: null,
        data: Float64Array.from({ length: count }, () => Math.round(random() * 100_000) / 100),
      },
    ],
  };
}

function oneChange(timeUs: number, id: bigint, amount: number): Changes {
  return {
    length: 1,
    timeUs: Float64Array.of(timeUs),
    arrivalUs: null,
    id: BigInt64Array.of(id),
    retract: null,
    columns: [
      { kind: 'float64', dtype: float64, length: 1, validity: null, data: Float64Array.of(amount) },
    ],
  };
}

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]! * 1000;
}

/** Microseconds of each call of `body`, sorted, after a warm-up. */
function timed(calls: number, body: (i: number) => void): Float64Array {
  for (let i = 0; i < calls; i++) body(i);
  return Float64Array.from({ length: calls }, (_, i) => {
    const from = performance.now();
    body(i);
    return performance.now() - from;
  }).sort();
}

function mean(values: Float64Array): number {
  return (values.reduce((sum, x) => sum + x, 0) / values.length) * 1000;
}

/** What a page takes in LMDB: inline below half a page, else whole overflow pages. */
function lmdbBytes(page: Uint8Array): number {
  return page.length < 2000 ? page.length + 32 : Math.ceil((page.length + 16) / 4096) * 4096;
}

async function measure(count: number): Promise<TimelineRow> {
  const events = history(count);
  const pages = buildPages(LAYOUT, events, 0, count);
  const store = new Map(pages.blocks);
  let head = pages.head;
  const all = [head, ...store.values()];

  const calls = 5_000;
  const readAt = (i: number): number => END_US + (i % 1000) * 1_000_000;
  const reads = timed(calls, (i) => {
    readTimeline(LAYOUT, head, (block) => store.get(block), readAt(i));
  });

  const directory = mkdtempSync(join(tmpdir(), 'timeline-bench-'));
  const lmdb = open({ path: directory, encoding: 'binary', keyEncoding: 'ordered-binary' });
  await lmdb.put([0], head as Buffer);
  for (const [block, page] of store) await lmdb.put([1, block], page as Buffer);
  const lmdbReads = timed(calls, (i) => {
    readTimeline(LAYOUT, lmdb.getBinary([0]), (block) => lmdb.getBinary([1, block]), readAt(i));
  });
  await lmdb.close();
  rmSync(directory, { recursive: true });

  const apply = (change: Changes): void => {
    const update = applyChanges(LAYOUT, { head, block: (block) => store.get(block) }, change);
    if (update === null) return;
    head = update.head;
    for (const [block, page] of update.putBlocks) store.set(block, page);
    for (const block of update.dropBlocks) store.delete(block);
  };
  let next = 0;
  const updates = timed(2_000, () => {
    next++;
    apply(oneChange(END_US + next * 1000, BigInt(-next), next / 100));
  });
  const late = timed(500, () => {
    next++;
    apply(oneChange(END_US - next * 100_000_000, BigInt(-next), next / 100));
  });
  return {
    events: count,
    readUsP50: percentile(reads, 0.5),
    readUsP99: percentile(reads, 0.99),
    lmdbReadUsP50: percentile(lmdbReads, 0.5),
    lmdbReadUsP99: percentile(lmdbReads, 0.99),
    updateUsMean: mean(updates),
    updateUsP99: percentile(updates, 0.99),
    lateUsMean: mean(late),
    bytes: all.reduce((sum, page) => sum + page.length, 0) / count,
    lmdbBytes: all.reduce((sum, page) => sum + lmdbBytes(page), 0) / count,
  };
}

/** One row for each size, smallest first. */
export async function benchTimeline(
  sizes: readonly number[] = [10, 100, 1_000, 10_000, 100_000],
): Promise<TimelineRow[]> {
  const rows: TimelineRow[] = [];
  for (const size of sizes) rows.push(await measure(size));
  return rows;
}

if (import.meta.main) {
  const rows = await benchTimeline();
  printBenchReport({
    title: 'Timeline of one key',
    command: 'node bench/timeline.ts',
    about:
      'Four windows × three aggregates (count, sum and avg over 1, 7, 14 and 30 days) of one float64 amount at random times of 30 days. ' +
      'A read at a time after the newest event; an update of one event in order, with its share of sealing blocks; one a few days late. ' +
      'Times in microseconds; pages in a Map, or in LMDB read by getBinary.',
    rows: rows.flatMap(reportRows),
  });
}

function reportRows(row: TimelineRow): BenchReport['rows'] {
  const us = (x: number): string => x.toFixed(1);
  const name = `${row.events.toLocaleString('en-US')} events`;
  return [
    {
      what: `${name}: read, p50 / p99`,
      value: `${us(row.readUsP50)} / ${us(row.readUsP99)} µs`,
      target: 'p99 ≤ 25 µs',
      met: row.readUsP99 <= 25,
    },
    {
      what: `${name}: read from LMDB, p50 / p99`,
      value: `${us(row.lmdbReadUsP50)} / ${us(row.lmdbReadUsP99)} µs`,
    },
    {
      what: `${name}: update in order, mean / p99`,
      value: `${us(row.updateUsMean)} / ${us(row.updateUsP99)} µs`,
      target: 'mean ≤ 10 µs',
      met: row.updateUsMean <= 10,
    },
    { what: `${name}: update days late, mean`, value: `${us(row.lateUsMean)} µs` },
    {
      what: `${name}: bytes an event, in pages / as LMDB rounds them up`,
      value: `${us(row.bytes)} / ${us(row.lmdbBytes)}`,
      target: '≤ 35',
      met: row.bytes <= 35,
    },
  ];
}
