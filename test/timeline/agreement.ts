/** The agreement that everything rests on: a read at T, the sweep at T and the naive fold give the same bits. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Window } from '../../src/aggregate/index.ts';
import { LIMITS, type Limits } from '../../src/timeline/blocks.ts';
import { openHead } from '../../src/timeline/codec.ts';
import {
  applyChanges,
  buildPages,
  dumpEvents,
  type Layout,
  OpenedPages,
  readTimeline,
  resolveHistory,
  sweep,
  sweepAsServed,
} from '../../src/timeline/index.ts';
import { prepare } from '../../src/timeline/prepare.ts';
import { type Column, ColumnBuilder, scalarAt } from '../../src/types/column.ts';
import { type Scalar, sameScalar } from '../../src/types/scalar.ts';
import {
  arrivedBefore,
  byTimeArrivalId,
  changesOf,
  type Delivery,
  type Rules,
  standing,
  statusesAt,
  valuesAt,
} from '../oracle/timeline.ts';
import {
  anyCase,
  batchesOf,
  type Case,
  contentOrder,
  deliveriesOf,
  layoutOf,
  readTimesOf,
} from './histories.ts';
import { naiveFold } from './naive_fold.ts';

/** So small that a few events make a tree of several levels. */
export const TINY: Limits = { pageBytes: 300, indexBytes: 200, minRows: 1, minEntries: 2 };

const DAY_US = 86_400_000_000;

/** The window predicate once more, in the words of the design. */
export function inWindow(window: Window, t: number, readUs: number): boolean {
  const hop = window.hopUs;
  const end = (hop === null ? readUs : readUs - (((readUs % hop) + hop) % hop)) - window.delayUs;
  if (window.sinceStartOf !== null) return startOf(window.sinceStartOf, end) <= t && t < end;
  return (window.sizeUs === null || end - window.sizeUs <= t) && t < end;
}

function startOf(unit: string, us: number): number {
  const date = new Date(Math.floor(us / DAY_US) * (DAY_US / 1000));
  if (unit === 'week') date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  if (unit === 'month' || unit === 'year') date.setUTCDate(1);
  if (unit === 'year') date.setUTCMonth(0);
  return date.getTime() * 1000;
}

export const RULES: Rules = { inWindow, compare: byTimeArrivalId, fold: naiveFold };

/** A timeline in memory, as an online store would keep it. */
export class Store {
  readonly layout: Layout;
  readonly limits: Limits;
  head: Uint8Array | undefined;
  readonly blocks = new Map<number, Uint8Array>();
  readonly #opened = new OpenedPages();
  #reads = 0;

  constructor(layout: Layout, limits: Limits = LIMITS) {
    this.layout = layout;
    this.limits = limits;
  }

  block = (number: number): Uint8Array | undefined => this.blocks.get(number);

  /** Whether the deliveries changed anything. */
  apply(deliveries: readonly Delivery[], positions?: ReadonlyMap<string, bigint>): boolean {
    const changes = changesOf(this.layout, deliveries);
    const update = applyChanges(this.layout, this, changes, positions, this.limits);
    if (update === null) return false;
    this.head = update.head;
    for (const [number, page] of update.putBlocks) {
      assert.ok(!this.blocks.has(number), 'a block is never changed');
      this.blocks.set(number, page);
    }
    for (const number of update.dropBlocks)
      assert.ok(this.blocks.delete(number), 'what is dropped was there');
    return true;
  }

  build(deliveries: readonly Delivery[]): void {
    const changes = changesOf(this.layout, deliveries);
    const { events, tombstones } = resolveHistory(this.layout.mutable, changes);
    const { length } = events;
    const pages = buildPages(this.layout, events, 0, length, this.limits, 1, tombstones.get(0));
    this.head = pages.head;
    for (const [number, page] of pages.blocks) this.blocks.set(number, page);
  }

  tombstones() {
    return this.head === undefined ? [] : openHead(prepare(this.layout), this.head).tail.tombstones;
  }

  /** Every second time with what was opened before, whatever has changed since. */
  read(readUs: number) {
    const before = this.#reads++ % 2 === 0 ? undefined : this.#opened;
    const reading = readTimeline(this.layout, this.head, this.block, readUs, undefined, before);
    assert.equal(reading.missing.length, 0);
    return reading;
  }
}

/** `checkAgreement` on random histories; one that fails is shrunk and printed. */
export function checkHistories(mutable: boolean, numRuns: number): void {
  const any = anyCase.map((the) => ({ ...the, mutable }));
  const found = fc.check(
    fc.property(any, (the) => checkAgreement(the)),
    { numRuns },
  );
  if (!found.failed) return;
  const [the] = found.counterexample!;
  assert.fail(
    `seed ${found.seed}: ${found.errorInstance}\nKeep it as test/regressions/timeline-<name>.json:\n${JSON.stringify(the)}`,
  );
}

/** Throws unless all ways give the values that the rules give. */
export function checkAgreement(the: Case, rules: Rules = RULES): void {
  const layout = layoutOf(the);
  const deliveries = deliveriesOf(the);
  const readAt = readTimesOf(the);
  const events = standing(the.mutable, deliveries, contentOrder, rules.compare);

  const applied = new Store(layout, TINY);
  for (const batch of batchesOf(the, deliveries)) applied.apply(batch);
  assert.equal(applied.apply(deliveries), false, 'what is known changes nothing');

  const mixed = new Store(layout, TINY);
  mixed.build(deliveries.slice(0, the.built));
  mixed.apply(deliveries.slice(the.built));
  assert.deepEqual(mixed.tombstones(), applied.tombstones(), 'tombstones of built pages');
  assert.equal(mixed.apply(deliveries), false, 'what built pages know changes nothing');

  const swept = sweepAt(layout, deliveries, readAt);
  const served = sweepServed(layout, deliveries, readAt, readAt);
  // Knowledge of another time than the read's, in no order, often that of an arrival itself.
  const knownAt = readAt.map((at, i) => (deliveries[i % deliveries.length]?.a ?? at) + (i % 2));
  const looked = sweepServed(layout, deliveries, readAt, knownAt);
  readAt.forEach((at, i) => {
    const values = valuesAt(layout, events, at, rules);
    const statuses = statusesAt(layout, events, at, values, rules);
    const read = applied.read(at);
    same(read.values, values, `read at ${at}`);
    assert.equal(read.statuses.join(), statuses.join(), `statuses at ${at}`);
    same(mixed.read(at).values, values, `read of built pages at ${at}`);
    same(swept[i]!, values, `sweep at ${at}`);
    const newest = events.findLast((event) => event.t < at);
    assert.equal(read.eventTimeUs, newest?.t ?? null, 'newest event');
    const { missing: _, steadyUntilUs, ...said } = read;
    assert.ok(steadyUntilUs >= at, `steady from ${at} until ${steadyUntilUs}`);
    const lastUs = Math.min(steadyUntilUs, at + 500 * DAY_US);
    for (const later of [Math.floor((at + lastUs) / 2), lastUs]) {
      const { values, statuses, eventTimeUs } = applied.read(later);
      assert.deepEqual({ values, statuses, eventTimeUs }, said, `${later} as at ${at}`);
    }
    const valuesKnown = (knownUs: number) =>
      valuesAt(
        layout,
        standing(the.mutable, arrivedBefore(deliveries, knownUs), contentOrder, rules.compare),
        at,
        rules,
      );
    same(served[i]!, valuesKnown(at), `as served at ${at}`);
    same(looked[i]!, valuesKnown(knownAt[i]!), `at ${at} as known at ${knownAt[i]}`);
  });
  const dump = dumpEvents(layout, applied);
  assert.equal(dump.id.join(), events.map((event) => event.id).join(), 'all rows, in order');
}

type Values = readonly (Scalar | null)[];

function same(found: Values, expected: Values, what: string): void {
  for (let i = 0; i < expected.length; i++)
    if (!sameScalar(found[i]!, expected[i]!))
      assert.fail(`${what}, value ${i}: ${show(found[i]!)} where ${show(expected[i]!)} is right`);
}

function show(value: Scalar | null): string {
  return typeof value === 'bigint' ? `${value}n` : JSON.stringify(value);
}

function sweepAt(layout: Layout, deliveries: readonly Delivery[], readAt: number[]): Values[] {
  const { events } = resolveHistory(layout.mutable, changesOf(layout, deliveries));
  const out = buildersOf(layout);
  sweep(layout, events, 0, events.length, Float64Array.from(readAt), 0, readAt.length, out);
  return rowsOf(
    out.map((builder) => builder.finish()),
    readAt.length,
  );
}

function sweepServed(
  layout: Layout,
  deliveries: readonly Delivery[],
  readAt: readonly number[],
  knownAt: readonly number[],
): Values[] {
  const changes = changesOf(layout, deliveries);
  const { events, visibleFrom, visibleTo } = resolveHistory(
    layout.mutable,
    changes,
    undefined,
    'as-served',
  );
  const out = buildersOf(layout);
  const times = Float64Array.from(readAt);
  const { length } = events;
  sweepAsServed(
    layout,
    events,
    visibleFrom,
    visibleTo,
    0,
    length,
    times,
    Float64Array.from(knownAt),
    0,
    times.length,
    out,
  );
  return rowsOf(
    out.map((builder) => builder.finish()),
    readAt.length,
  );
}

function buildersOf(layout: Layout): ColumnBuilder[] {
  const { results } = prepare(layout);
  return layout.reads.map(({ aggregate }) => new ColumnBuilder(results[aggregate]!.output));
}

function rowsOf(columns: readonly Column[], rows: number): Values[] {
  return Array.from({ length: rows }, (_, row) => columns.map((column) => scalarAt(column, row)));
}
