/**
 * The naive twin of a training set: for each label, every row of history is looked at again, filtered and folded.
 * Expressions go through their own oracle; aggregates are folded row by row in event order.
 */
import { aggregateFor } from '../../src/aggregate/index.ts';
import { windowEnd, windowStart } from '../../src/aggregate/window.ts';
import {
  type Catalog,
  eventIds,
  type FeatureView,
  featureIndex,
  featuresTaken,
  type Member,
  outputName,
  rowSchemaOf,
  type Source,
  viewOf,
} from '../../src/model/index.ts';
import { compareContent } from '../../src/timeline/identity.ts';
import type { Batch, Schema } from '../../src/types/batch.ts';
import { type Column, columnOf } from '../../src/types/column.ts';
import { float64 } from '../../src/types/dtype.ts';
import { coerce, type Scalar, sameScalar } from '../../src/types/scalar.ts';
import { evaluateRow } from './expr.ts';

export type Row = Readonly<Record<string, Scalar | null>>;

/** One delivery of a row of a source. */
export interface Delivered {
  readonly row: Row;
  readonly a: number;
  readonly retract: boolean;
}

export interface Question {
  readonly catalog: Catalog;
  readonly members: readonly Member[];
  readonly history: Readonly<Record<string, readonly Delivered[]>>;
  readonly through: boolean;
  readonly knowledge: 'final' | 'as-served';
}

/** What is answered, and why. */
export interface Answer {
  readonly value: Scalar | null;
  readonly status: string;
}

/** The outputs for one label by name, in order. */
export function naiveOutputs(question: Question, label: Row, atUs: number): Row {
  const answers = Object.entries(naiveAnswers(question, label, atUs));
  return Object.fromEntries(answers.map(([name, { value }]) => [name, value]));
}

/** The same with their statuses. */
export function naiveAnswers(
  question: Question,
  label: Row,
  atUs: number,
): Readonly<Record<string, Answer>> {
  const out: Record<string, Answer> = {};
  for (const member of question.members) {
    const view = viewOf(question.catalog, member.view);
    for (const feature of featuresTaken(view, member))
      out[outputName(member, feature.name)] = answer(question, member, feature.name, label, atUs);
  }
  return out;
}

function value(
  question: Question,
  member: Member,
  feature: string,
  label: Row,
  atUs: number,
): Scalar | null {
  return answer(question, member, feature, label, atUs).value;
}

function answer(
  question: Question,
  member: Member,
  feature: string,
  label: Row,
  atUs: number,
): Answer {
  const view = viewOf(question.catalog, member.view);
  const { dtype, default: text } = view.features[featureIndex(view, feature)]!;
  const standIn = coerce(text, dtype);
  if (view.kind === 'onDemandView') {
    const found = computed(question, view, feature, label, atUs);
    if (found !== null) return { value: found, status: 'PRESENT' };
    return { value: standIn, status: standIn === null ? 'NULL_VALUE' : 'DEFAULTED' };
  }
  const { key, ...own } = stored(question, view, member, feature, label, atUs);
  const { fallbacks = [] } = view.features[featureIndex(view, feature)]!;
  if (own.status === 'PRESENT') return own;
  // What a fallback is looked up by are parts of this entity's key.
  const { key: parts } = question.catalog.entities[view.entity]!;
  const keyRow = Object.fromEntries(parts.map(({ name }, i) => [name, key[i]!]));
  for (const [i, fallback] of fallbacks.entries()) {
    const other = viewOf(question.catalog, fallback.member.view) as FeatureView;
    const level = stored(question, other, fallback.member, fallback.feature, keyRow, atUs);
    if (level.status === 'PRESENT') return { value: level.value, status: `FALLBACK_${i + 1}` };
  }
  return standIn !== null && (fallbacks.length > 0 || own.value === null)
    ? { value: standIn, status: 'DEFAULTED' }
    : own;
}

function computed(
  question: Question,
  view: Extract<ReturnType<typeof viewOf>, { kind: 'onDemandView' }>,
  feature: string,
  label: Row,
  atUs: number,
): Scalar | null {
  const columns: Record<string, Column> = {};
  for (const { name, dtype } of view.request)
    columns[`request.${name}`] = columnOf(dtype, [label[name] ?? null]);
  for (const [alias, member] of Object.entries(view.uses)) {
    const used = viewOf(question.catalog, member.view);
    for (const { name, dtype } of featuresTaken(used, member))
      columns[`${alias}.${name}`] = columnOf(dtype, [value(question, member, name, label, atUs)]);
  }
  const { expr } = view.features[featureIndex(view, feature)]!;
  return evaluateRow(expr, { length: 1, columns }, 0).v;
}

function stored(
  question: Question,
  view: FeatureView,
  member: Member,
  feature: string,
  label: Row,
  atUs: number,
): Answer & { readonly key: readonly (Scalar | null)[] } {
  const key = member.keys.map((origin) =>
    origin.from === 'column'
      ? (label[origin.column] ?? null)
      : value(question, origin.member, origin.feature, label, atUs),
  );
  const readUs = atUs + (question.through ? 1 : 0);
  const knownUs = question.knowledge === 'final' ? Number.POSITIVE_INFINITY : readUs;
  const found = featureOf(question, view, feature, key, readUs, knownUs);
  return {
    key,
    value: found,
    status: statusOf(question, view, feature, key, found, readUs, knownUs),
  };
}

function statusOf(
  question: Question,
  view: FeatureView,
  feature: string,
  key: readonly (Scalar | null)[],
  found: Scalar | null,
  readUs: number,
  knownUs: number,
): string {
  const { aggregate, window } = view.features[featureIndex(view, feature)]!;
  const of = (from: number) =>
    eventsOf(question, view, key, knownUs).filter(({ t }) => t >= from && t < readUs);
  if (of(Number.NEGATIVE_INFINITY).length === 0) return 'NOT_FOUND';
  if (found !== null) return 'PRESENT';
  const aged =
    aggregate.fn === 'latest' &&
    window.sizeUs !== null &&
    of(windowStart(window, readUs)).length === 0;
  return aged ? 'OUTSIDE_MAX_AGE' : 'NULL_VALUE';
}

/** What stands of an entity's events, at whatever time. */
function eventsOf(
  question: Pick<Question, 'catalog' | 'history'>,
  view: FeatureView,
  key: readonly (Scalar | null)[],
  knownUs: number,
): Event[] {
  const source = question.catalog.sources[view.source]!;
  const known = deliveriesOf(question, source).filter(({ a }) => a < knownUs);
  if (key.includes(null)) return [];
  return events(view, source, known).filter((event) =>
    view.keys.every((column, i) => sameScalar(event.row[column]!, key[i]!)),
  );
}

/** A feature of one key at a read time, before its default, out of what had arrived before `knownUs`. */
function featureOf(
  question: Pick<Question, 'catalog' | 'history'>,
  view: FeatureView,
  feature: string,
  key: readonly (Scalar | null)[],
  readUs: number,
  knownUs: number,
): Scalar | null {
  const source = question.catalog.sources[view.source]!;
  const { aggregate: spec, input, window } = view.features[featureIndex(view, feature)]!;
  let seen = eventsOf(question, view, key, knownUs).filter(
    ({ t }) => t >= windowStart(window, readUs) && t < windowEnd(window, readUs),
  );
  seen.sort((x, y) => x.t - y.t || x.a - y.a || (x.id < y.id ? -1 : x.id > y.id ? 1 : 0));
  if (window.last !== null) seen = seen.slice(Math.max(0, seen.length - window.last));
  const batch = batchOf(
    rowSchemaOf(source),
    seen.map(({ row }) => row),
  );
  const inputs = input === null ? null : seen.map((_, i) => evaluateRow(input, batch, i));
  const dtype = input === null ? null : evaluateRow(input, oneNull(source), 0).t;
  const aggregate = aggregateFor(spec, dtype);
  const state = aggregate.create();
  const column =
    dtype === null
      ? null
      : columnOf(
          dtype,
          inputs!.map(({ v }) => v),
        );
  for (let i = 0; i < seen.length; i++) aggregate.add(state, column, i, i + 1, 'after');
  return aggregate.result(state);
}

// The same for every label.
const withLookups = new WeakMap<object, Map<Source, readonly Delivered[]>>();

/** The deliveries of a source, with what they look up. */
export function deliveriesOf(
  question: Pick<Question, 'catalog' | 'history'>,
  source: Source,
): readonly Delivered[] {
  const deliveries = question.history[source.name]!;
  if (source.lookups.length === 0) return deliveries;
  const known = withLookups.getOrInsertComputed(question.history, () => new Map());
  return known.getOrInsertComputed(source, () =>
    deliveries.map((delivered) => ({
      ...delivered,
      row: { ...delivered.row, ...lookedUp(question, source, delivered) },
    })),
  );
}

/** What a delivery looks up: at its event's time, out of what had arrived before it did. */
function lookedUp(
  question: Pick<Question, 'catalog' | 'history'>,
  source: Source,
  { row, a }: Delivered,
): Row {
  const values = source.lookups.map(({ name, view: viewName, feature, keys }) => {
    const view = viewOf(question.catalog, viewName);
    if (view.kind !== 'featureView') throw new Error(`${viewName} cannot be looked up`);
    const key = keys.map((column) => row[column] ?? null);
    const found = featureOf(question, view, feature, key, timeOf(source, row), a);
    const { dtype, default: fallback } = view.features[featureIndex(view, feature)]!;
    return [name, found ?? coerce(fallback, dtype)] as const;
  });
  return Object.fromEntries(values);
}

interface Event extends Delivered {
  readonly t: number;
  readonly id: bigint;
}

/** What stands of all that is known, and belongs to the view. */
function events(view: FeatureView, source: Source, known: readonly Delivered[]): Event[] {
  const batch = batchOf(
    rowSchemaOf(source),
    known.map(({ row }) => row),
  );
  const ids = eventIds(source, batch);
  const belongs = (i: number): boolean =>
    view.keys.every((column) => known[i]!.row[column] !== null) &&
    (view.where === null || evaluateRow(view.where, batch, i).v === true);
  const inputs = view.features.flatMap(({ input }) => (input === null ? [] : [input]));
  const distinct = [...new Map(inputs.map((input) => [JSON.stringify(input), input])).values()];
  // Of two rows of one id and one arrival the content decides, and where a row lies is part of it.
  const place = [
    ...view.keys.map((column) => batch.columns[column]!),
    columnOf(
      float64,
      known.map(({ row }) => timeOf(source, row)),
    ),
  ];
  const inputColumns = distinct.map((input) =>
    columnOf(
      evaluateRow(input, oneNull(source), 0).t,
      known.map((_, i) => evaluateRow(input, batch, i).v),
    ),
  );
  const contents = source.mutable ? [...place, ...inputColumns] : inputColumns;
  const all = known.map((delivered, i) => ({
    ...delivered,
    i,
    t: timeOf(source, delivered.row),
    id: ids[i]!,
    belongs: belongs(i),
  }));
  const candidates = source.mutable ? all : all.filter((event) => event.belongs || event.retract);
  const groups = Map.groupBy(candidates, (event) =>
    source.mutable
      ? String(event.id)
      : `${event.id} ${event.t} ${view.keys.map((column) => String(event.row[column])).join('\n')}`,
  );
  return [...groups.values()].flatMap((same) => {
    const gone = (event: (typeof same)[number]): boolean => event.retract || !event.belongs;
    if (!source.mutable && same.some((event) => event.retract)) return [];
    const arrivals = same.map(({ a }) => a);
    const decisive = source.mutable ? Math.max(...arrivals) : Math.min(...arrivals);
    const left = same.filter(({ a }) => a === decisive);
    if (left.some(gone)) return [];
    return [left.toSorted((x, y) => compareContent(contents, x.i, contents, y.i))[0]!];
  });
}

function timeOf(source: Source, row: Row): number {
  const time = source.columns.find(({ name }) => name === source.eventTime)!;
  return Number(row[time.name]) * (time.dtype.kind === 'date' ? 86_400_000_000 : 1);
}

function batchOf(schema: Schema, rows: readonly Row[]): Batch {
  const columns = Object.fromEntries(
    schema.map(({ name, dtype }) => [
      name,
      columnOf(
        dtype,
        rows.map((row) => row[name] ?? null),
      ),
    ]),
  );
  return { length: rows.length, columns };
}

function oneNull(source: Source): Batch {
  return batchOf(rowSchemaOf(source), [{}]);
}
