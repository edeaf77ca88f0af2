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
  OpenedPages,
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
  readonly read: Times;
  /** Of pages that were opened before. */
  readonly again: Times;
  readonly lmdbRead: Times;
  readonly update: Times;
  readonly late: Times;
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

/** Microseconds of calls that nothing interrupted, and of all of them. */
export interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly mean: number;
  readonly allP99: number;
  readonly allMean: number;
  /** Of the calls, how many lay in a batch that the system interrupted for another process. */
  readonly interrupted: number;
}

/** Calls between two looks at whether the process was interrupted. */
const BATCH = 20;

/**
 * Times of each of `calls` calls of `body` after a warm-up of as many. On a machine with other work the slowest calls are those
 * in whose midst the system let another process run. It counts these interruptions: percentiles without the batches
 * that had one are the program's own, garbage collection included; those of all calls stand beside them.
 */
function timed(calls: number, body: (i: number) => void): Times {
  for (let i = 0; i < calls; i++) body(i);
  const all: number[] = [];
  const own: number[] = [];
  for (let from = 0; from < calls; from += BATCH) {
    const before = process.resourceUsage().involuntaryContextSwitches;
    const batch: number[] = [];
    for (let i = from; i < from + BATCH; i++) {
      const start = performance.now();
      body(i);
      batch.push((performance.now() - start) * 1000);
    }
    all.push(...batch);
    if (process.resourceUsage().involuntaryContextSwitches === before) own.push(...batch);
  }
  const quiet = own.length > 0 ? own : all;
  return {
    p50: percentile(quiet, 0.5),
    p99: percentile(quiet, 0.99),
    mean: mean(quiet),
    allP99: percentile(all, 0.99),
    allMean: mean(all),
    interrupted: all.length - own.length,
  };
}

function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
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

  const calls = 20_000;
  const readAt = (i: number): number => END_US + (i % 1000) * 1_000_000;
  const read = timed(calls, (i) => {
    readTimeline(LAYOUT, head, (block) => store.get(block), readAt(i));
  });

  const opened = new OpenedPages();
  const again = timed(calls, (i) => {
    readTimeline(LAYOUT, head, (block) => store.get(block), readAt(i), undefined, opened);
  });

  const directory = mkdtempSync(join(tmpdir(), 'timeline-bench-'));
  const lmdb = open({ path: directory, encoding: 'binary', keyEncoding: 'ordered-binary' });
  await lmdb.put([0], head as Buffer);
  for (const [block, page] of store) await lmdb.put([1, block], page as Buffer);
  const lmdbRead = timed(calls, (i) => {
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
  const update = timed(5_000, () => {
    next++;
    apply(oneChange(END_US + next * 1000, BigInt(-next), next / 100));
  });
  const late = timed(500, () => {
    next++;
    apply(oneChange(END_US - next * 100_000_000, BigInt(-next), next / 100));
  });
  return {
    events: count,
    read,
    again,
    lmdbRead,
    update,
    late,
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
      'Open pages were read before, so that neither their checksums nor their sections are gone over again; bytes are opened by each read. ' +
      'Pages in a Map, or in LMDB read by getBinary. 20,000 reads at 1,000 times, 5,000 updates and 500 late ones, each timed after ' +
      'a warm-up of as many. Times are of batches of 20 calls without an involuntary context switch ' +
      `(${interruptedShare(rows)} of the calls lay in others); those of all calls are in brackets. Garbage collection counts.`,
    rows: rows.flatMap(reportRows),
  });
}

function interruptedShare(rows: readonly TimelineRow[]): string {
  let calls = 0;
  let interrupted = 0;
  for (const { read, again, lmdbRead, update, late } of rows) {
    calls += 65_500;
    for (const times of [read, again, lmdbRead, update, late]) interrupted += times.interrupted;
  }
  return `${((100 * interrupted) / calls).toFixed(1)} %`;
}

function reportRows(row: TimelineRow): BenchReport['rows'] {
  const us = (x: number): string => x.toFixed(1);
  const { read, again, lmdbRead, update, late } = row;
  const name = `${row.events.toLocaleString('en-US')} events`;
  return [
    {
      what: `${name}: read of open pages, p50 / p99 (p99 of all calls)`,
      value: `${us(again.p50)} / ${us(again.p99)} (${us(again.allP99)}) µs`,
      target: 'p99 ≤ 25 µs',
      met: again.p99 <= 25,
    },
    {
      what: `${name}: read of bytes, p50 / p99 (p99 of all calls)`,
      value: `${us(read.p50)} / ${us(read.p99)} (${us(read.allP99)}) µs`,
      target: 'p99 ≤ 25 µs',
      met: read.p99 <= 25,
    },
    {
      what: `${name}: read from LMDB, p50 / p99 (p99 of all calls)`,
      value: `${us(lmdbRead.p50)} / ${us(lmdbRead.p99)} (${us(lmdbRead.allP99)}) µs`,
    },
    {
      what: `${name}: update in order, mean / p99 (mean of all calls)`,
      value: `${us(update.mean)} / ${us(update.p99)} (${us(update.allMean)}) µs`,
      target: 'mean ≤ 10 µs',
      met: update.mean <= 10,
    },
    {
      what: `${name}: update days late, mean (of all calls)`,
      value: `${us(late.mean)} (${us(late.allMean)}) µs`,
    },
    {
      what: `${name}: bytes an event, in pages / as LMDB rounds them up`,
      value: `${us(row.bytes)} / ${us(row.lmdbBytes)}`,
      target: '≤ 35',
      met: row.bytes <= 35,
    },
  ];
}
