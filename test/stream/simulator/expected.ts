/** The naive twin of the worker: what history and pages have to hold, from the records alone, one after the other. */
import { SamewiseError } from '../../../src/base/errors.ts';
import { eventIds, rowSchemaOf, type Source, type ViewProgram } from '../../../src/model/index.ts';
import type { LogRecord } from '../../../src/stream/contract.ts';
import type { Decoded } from '../../../src/stream/decode/contract.ts';
import { compareContent } from '../../../src/timeline/identity.ts';
import { columnOf, scalarAt } from '../../../src/types/column.ts';
import { encodeKey } from '../../../src/types/key.ts';
import { coerce, type Scalar } from '../../../src/types/scalar.ts';
import { type Delivery, standing, valuesAt } from '../../oracle/timeline.ts';
import { RULES } from '../../timeline/agreement.ts';
import type { HistoryRow } from './stores.ts';

export interface ExpectedRow extends HistoryRow {
  readonly late: boolean;
}

export interface Expected {
  readonly rows: readonly ExpectedRow[];
  /** Positions of dead letters, as `partition position`. */
  readonly dead: readonly string[];
}

/** `decoded`: of each partition's records. */
export function expectedOf(
  source: Source,
  records: ReadonlyMap<string, readonly LogRecord[]>,
  decoded: ReadonlyMap<string, readonly Decoded[]>,
): Expected {
  const rows: ExpectedRow[] = [];
  const dead: string[] = [];
  for (const [partition, all] of records) {
    let arrivalUs = Number.NEGATIVE_INFINITY;
    let newestUs = Number.NEGATIVE_INFINITY;
    all.forEach(({ position, timestampUs }, i) => {
      arrivalUs = Math.max(timestampUs, arrivalUs + 1);
      const said = decoded.get(partition)![i]!;
      if (said === null) return;
      try {
        if (said instanceof SamewiseError) throw said;
        const retract = said.op === 'retract';
        const values: Record<string, Scalar | null> = {};
        for (const { name, dtype } of source.columns) {
          const value = said.values[name];
          if (value === undefined && !(retract && source.eventId !== null)) throw missing(name);
          values[name] = coerce(value, dtype);
        }
        if (source.eventId !== null && values[source.eventId] === null) throw missing('id');
        if (retract && source.mutable) values.at ??= arrivalUs;
        const t = values.at as number | null;
        if (t === null || t > arrivalUs + source.stream.maxAheadUs) throw missing('at');
        const late = !source.mutable && t < newestUs - source.latenessUs;
        newestUs = Math.max(newestUs, t);
        rows.push({ partition, position, arrivalUs, retract, values, late });
      } catch (error) {
        if (!(error instanceof SamewiseError)) throw error;
        dead.push(`${partition} ${position}`);
      }
    });
  }
  return { rows, dead };
}

function missing(name: string): SamewiseError {
  return new SamewiseError('test/missing', name);
}

/** Rows by source. */
export type RowsOf = (source: string) => readonly HistoryRow[];

/** The rows with the columns that a view looks up: what it would say at t, were there only what had arrived before a. */
export function lookedUp<R extends HistoryRow>(
  { lookups }: ViewProgram,
  rows: readonly R[],
  rowsOf: RowsOf,
): R[] {
  if (lookups.length === 0) return [...rows];
  return rows.map((row) => {
    const values = { ...row.values };
    for (const { name, keys, program, feature } of lookups) {
      const parts = keys.map((column) => row.values[column] ?? null);
      const key = parts.includes(null) ? null : encodeKey(parts, program.keyDtypes).toHex();
      const known = rowsOf(program.source.name).filter(
        ({ arrivalUs }) => arrivalUs < row.arrivalUs,
      );
      const events = key === null ? [] : (standingOf(program, known, key).get(key) ?? []);
      const found = valuesAt(program.layout, events, row.values.at as number, RULES)[feature]!;
      values[name] = found ?? program.defaults[feature]!;
    }
    return { ...row, values };
  });
}

/** By key in hex: the events of a view that stand. */
export type Standing = ReadonlyMap<string, readonly Delivery[]>;

/** Of rows with their looked-up columns; `only`: of one key. */
export function standingOf(
  program: ViewProgram,
  rows: readonly HistoryRow[],
  only: string | null = null,
): Standing {
  const { source, layout } = program;
  const order = (x: Delivery, y: Delivery) =>
    compareContent(columnsOf(program, x), 0, columnsOf(program, y), 0);
  const all = rows.map((row) => placed(program, row));
  if (source.mutable) {
    // The last arrival of each id is where the row is, if anywhere.
    const last = new Map<bigint, (typeof all)[number]>();
    for (const one of all) {
      const other = last.get(one.id);
      if (other === undefined || one.a > other.a) last.set(one.id, one);
    }
    const there = [...last.values()].filter(({ retract, key, taken }) => !retract && key && taken);
    const byKey = Map.groupBy(there, ({ key }) => key!);
    return new Map([...byKey].map(([key, own]) => [key, standing(true, own, order)]));
  }
  const mine = all.filter(
    ({ key, taken, retract }) =>
      key !== null && (only === null || key === only) && (taken || retract),
  );
  const byKey = Map.groupBy(mine, ({ key }) => key!);
  const out = new Map<string, readonly Delivery[]>();
  for (const [key, own] of byKey) {
    const events = standing(layout.mutable, own, order);
    if (events.length > 0) out.set(key, events);
  }
  return out;
}

interface Placed extends Delivery {
  readonly key: string | null;
  readonly taken: boolean;
}

const known = new WeakMap<ViewProgram, WeakMap<HistoryRow, Placed>>();

function placed(program: ViewProgram, row: HistoryRow): Placed {
  let rows = known.get(program);
  if (rows === undefined) known.set(program, (rows = new WeakMap()));
  let found = rows.get(row);
  if (found === undefined)
    rows.set(row, (found = { ...deliveryOf(program, row), ...placeOf(program, row) }));
  return found;
}

function columnsOf({ layout }: ViewProgram, { values }: Delivery) {
  return layout.columns.map((dtype, i) => columnOf(dtype, [values[i]!]));
}

function batchOf({ source }: ViewProgram, { values }: HistoryRow) {
  const columns = rowSchemaOf(source).map(({ name, dtype }) => [
    name,
    columnOf(dtype, [values[name] ?? null]),
  ]);
  return { length: 1, columns: Object.fromEntries(columns) };
}

export function deliveryOf(program: ViewProgram, row: HistoryRow): Delivery {
  const batch = batchOf(program, row);
  const values = program.rowProgram.run(batch).map((column) => scalarAt(column, 0));
  return {
    t: row.values.at as number,
    a: row.arrivalUs,
    id: eventIds(program.source, batch)[0]!,
    retract: row.retract,
    values,
  };
}

function placeOf(program: ViewProgram, row: HistoryRow): { key: string | null; taken: boolean } {
  const { view, keyDtypes, filter } = program;
  const parts = view.keys.map((name) => row.values[name] ?? null);
  const key = parts.some((part) => part === null) ? null : encodeKey(parts, keyDtypes).toHex();
  const taken = filter === null || scalarAt(filter.run(batchOf(program, row))[0]!, 0) === true;
  return { key, taken };
}
