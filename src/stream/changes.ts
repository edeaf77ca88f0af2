/** Changes of many timelines, in columns, one key after the other. */
import type { Changes } from '../timeline/index.ts';
import { gatherEvents } from '../timeline/rows.ts';
import { type Column, gather } from '../types/column.ts';
import { joinColumns, sliceColumn } from '../types/column_parts.ts';
import { nameOfKey } from './evaluate.ts';

/** Key i has changes starts[i] to starts[i + 1]; no key has none. */
export interface KeyedChanges {
  readonly keys: readonly Uint8Array[];
  readonly starts: Int32Array;
  readonly changes: Changes;
  /** By partition, of each key: the highest position among its changes; null: none is of the partition. Empty: they come from no log. */
  readonly positions: ReadonlyMap<string, readonly (bigint | null)[]>;
}

/** One change of one timeline. `row`: of the evaluated columns; −1 for a retract, which has no values. */
export interface Change {
  readonly key: Uint8Array;
  readonly timeUs: number;
  readonly arrivalUs: number;
  readonly id: bigint;
  readonly row: number;
  readonly position: bigint;
}

/** Some rows of a partition, in the order of the log, and whose they are. */
export interface RowsOfKeys {
  readonly partition: string;
  readonly keys: readonly Uint8Array[];
  /** −1: nobody's. */
  readonly keyOf: Int32Array;
  readonly timeUs: Float64Array;
  readonly arrivalUs: Float64Array;
  readonly ids: BigInt64Array;
  readonly retract: Uint8Array | null;
  readonly columns: readonly Column[];
  readonly positions: readonly bigint[];
  /** Whether the row is one to apply. */
  readonly taken: (row: number) => boolean;
}

/** The rows of all parts as changes of their keys, in the order of the parts and of their rows within each. */
export function changesOfRows(parts: readonly RowsOfKeys[]): KeyedChanges {
  const { keys, numbers } = numbered(parts);
  const { starts, order } = sortedByKey(parts, numbers, keys.length);
  const all = joined(parts);
  const changes = gatherEvents(all, order);
  const retract = all.retract && gatherFlags(all.retract, order);
  return {
    keys,
    starts,
    // What a retract says besides its event does not count.
    changes: retract?.includes(1)
      ? { ...changes, columns: withoutValues(all.columns, order, retract), retract }
      : { ...changes, retract },
    positions: furthestOf(parts, numbers, keys.length),
  };
}

/** The distinct keys of rows that are taken, and for each part and row its number; −1: none. */
function numbered(parts: readonly RowsOfKeys[]): {
  keys: readonly Uint8Array[];
  numbers: Int32Array[];
} {
  const keys: Uint8Array[] = [];
  const known = new Map<string, number>();
  const numbers = parts.map((part) => {
    const own = new Int32Array(part.keys.length).fill(-1);
    return part.keyOf.map((key, row) => {
      if (key < 0 || !part.taken(row)) return -1;
      if (own[key]! < 0) own[key] = numberOf(part.keys[key]!);
      return own[key]!;
    });
  });
  return { keys, numbers };

  function numberOf(key: Uint8Array): number {
    if (parts.length === 1) return keys.push(key) - 1;
    const name = nameOfKey(key);
    let number = known.get(name);
    if (number === undefined) {
      number = keys.push(key) - 1;
      known.set(name, number);
    }
    return number;
  }
}

/** Rows, counted through all parts, one key after the other. */
function sortedByKey(
  parts: readonly RowsOfKeys[],
  numbers: readonly Int32Array[],
  keys: number,
): { starts: Int32Array; order: Int32Array } {
  const starts = new Int32Array(keys + 1);
  for (const own of numbers) for (const key of own) if (key >= 0) starts[key + 1]!++;
  for (let key = 0; key < keys; key++) starts[key + 1]! += starts[key]!;
  const next = starts.slice(0, keys);
  const order = new Int32Array(starts[keys]!);
  let before = 0;
  numbers.forEach((own, i) => {
    for (let row = 0; row < own.length; row++)
      if (own[row]! >= 0) order[next[own[row]!]!++] = before + row;
    before += parts[i]!.keyOf.length;
  });
  return { starts, order };
}

/** The rows of all parts. */
function joined(parts: readonly RowsOfKeys[]): Changes {
  const length = parts.reduce((sum, { keyOf }) => sum + keyOf.length, 0);
  if (parts.length === 1) return { ...parts[0]!, length, id: parts[0]!.ids };
  const timeUs = new Float64Array(length);
  const arrivalUs = new Float64Array(length);
  const id = new BigInt64Array(length);
  const retract = parts.some((part) => part.retract !== null) ? new Uint8Array(length) : null;
  let at = 0;
  for (const part of parts) {
    timeUs.set(part.timeUs, at);
    arrivalUs.set(part.arrivalUs, at);
    id.set(part.ids, at);
    if (part.retract !== null) retract!.set(part.retract, at);
    at += part.keyOf.length;
  }
  const columns = parts[0]!.columns.map(({ dtype }, c) =>
    joinColumns(
      dtype,
      parts.map((part) => part.columns[c]!),
    ),
  );
  return { length, timeUs, arrivalUs, id, columns, retract };
}

function gatherFlags(flags: Uint8Array, order: Int32Array): Uint8Array {
  return Uint8Array.from(order, (row) => flags[row]!);
}

function withoutValues(
  columns: readonly Column[],
  order: Int32Array,
  retract: Uint8Array,
): Column[] {
  const rows = order.map((row, i) => (retract[i] === 1 ? -1 : row));
  return columns.map((column) => gather(column, rows));
}

/** Positions grow with the rows of a partition. */
function furthestOf(
  parts: readonly RowsOfKeys[],
  numbers: readonly Int32Array[],
  keys: number,
): KeyedChanges['positions'] {
  const positions = new Map<string, (bigint | null)[]>();
  parts.forEach(({ partition, positions: own }, i) => {
    let ofKey = positions.get(partition);
    if (ofKey === undefined) {
      ofKey = new Array<bigint | null>(keys).fill(null);
      positions.set(partition, ofKey);
    }
    numbers[i]!.forEach((key, row) => {
      if (key >= 0) ofKey[key] = own[row]!;
    });
  });
  return positions;
}

/** Single changes by key. `partition` null: their positions mean nothing. */
export function changesByKey(
  partition: string | null,
  columns: readonly Column[],
  all: readonly Change[],
): KeyedChanges {
  const byKey = Map.groupBy(all, ({ key }) => nameOfKey(key));
  const groups = [...byKey.values()];
  const sorted = groups.flat();
  const starts = new Int32Array(groups.length + 1);
  groups.forEach((group, i) => {
    starts[i + 1] = starts[i]! + group.length;
  });
  const rows = sorted.map(({ row }) => row);
  const changes: Changes = {
    length: sorted.length,
    timeUs: Float64Array.from(sorted, ({ timeUs }) => timeUs),
    arrivalUs: Float64Array.from(sorted, ({ arrivalUs }) => arrivalUs),
    id: BigInt64Array.from(sorted, ({ id }) => id),
    columns: columns.map((column) => gather(column, rows)),
    retract: rows.includes(-1) ? Uint8Array.from(rows, (row) => (row < 0 ? 1 : 0)) : null,
  };
  const ofKey = groups.map(furthest);
  const positions = new Map(partition === null ? [] : [[partition, ofKey]]);
  return { keys: groups.map((group) => group[0]!.key), starts, changes, positions };
}

/** The greatest position: changes come row by row of a table, not in the order of the log. */
function furthest(changes: readonly Change[]): bigint {
  let most = changes[0]!.position;
  for (const { position } of changes) if (position > most) most = position;
  return most;
}

/** The changes of one key. */
export function changesOfKey({ starts, changes }: KeyedChanges, key: number): Changes {
  const from = starts[key]!;
  const to = starts[key + 1]!;
  if (from === 0 && to === changes.length) return changes;
  return {
    length: to - from,
    timeUs: changes.timeUs.subarray(from, to),
    arrivalUs: changes.arrivalUs!.subarray(from, to),
    id: changes.id.subarray(from, to),
    columns: changes.columns.map((column) => sliceColumn(column, from, to)),
    retract: changes.retract?.subarray(from, to) ?? null,
  };
}
