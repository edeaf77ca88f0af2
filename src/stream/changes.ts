/** Changes of many timelines, in columns, one key after the other. */
import type { Changes } from '../timeline/index.ts';
import { type Column, gather } from '../types/column.ts';
import { sliceColumn } from './columns.ts';
import { nameOfKey } from './evaluate.ts';

/** Key i has changes starts[i] to starts[i + 1]; no key has none. */
export interface KeyedChanges {
  readonly keys: readonly Uint8Array[];
  readonly starts: Int32Array;
  readonly changes: Changes;
  /** Of each key: the partition's highest position among its changes. Null: they come from no log. */
  readonly positions: { readonly partition: string; readonly ofKey: readonly bigint[] } | null;
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

/** Rows of a batch, sorted by key. */
export interface RowsOfKeys {
  readonly keys: readonly Uint8Array[];
  readonly keyOf: Int32Array;
  readonly timeUs: Float64Array;
  readonly arrivalUs: Float64Array;
  readonly ids: BigInt64Array;
  readonly retract: Uint8Array | null;
  readonly columns: readonly Column[];
  readonly positions: readonly bigint[];
}

/** The rows for which `taken` holds as changes of their keys, in the order of the rows within each. */
export function changesOfRows(
  partition: string,
  rows: RowsOfKeys,
  taken: (row: number) => boolean,
): KeyedChanges {
  const { keyOf, retract } = rows;
  const counts = new Int32Array(rows.keys.length);
  const chosen: number[] = [];
  for (let row = 0; row < keyOf.length; row++) {
    if (keyOf[row]! < 0 || !taken(row)) continue;
    counts[keyOf[row]!]!++;
    chosen.push(row);
  }
  const keys: Uint8Array[] = [];
  const starts: number[] = [0];
  const next = new Int32Array(counts.length);
  for (let key = 0; key < counts.length; key++) {
    if (counts[key] === 0) continue;
    next[key] = starts.at(-1)!;
    keys.push(rows.keys[key]!);
    starts.push(starts.at(-1)! + counts[key]!);
  }
  const { length } = chosen;
  const order = new Int32Array(length);
  for (const row of chosen) order[next[keyOf[row]!]!++] = row;
  const timeUs = new Float64Array(length);
  const arrivalUs = new Float64Array(length);
  const id = new BigInt64Array(length);
  for (let i = 0; i < length; i++) {
    timeUs[i] = rows.timeUs[order[i]!]!;
    arrivalUs[i] = rows.arrivalUs[order[i]!]!;
    id[i] = rows.ids[order[i]!]!;
  }
  // Positions grow with the rows.
  const ofKey = keys.map((_, key) => rows.positions[order[starts[key + 1]! - 1]!]!);
  const flags = retract && Uint8Array.from(order, (row) => retract[row]!);
  // What a retract says besides its event does not count.
  const from = flags ? order.map((row, i) => (flags[i] === 1 ? -1 : row)) : order;
  const columns = rows.columns.map((column) => gather(column, from));
  const changes = { length, timeUs, arrivalUs, id, columns, retract: flags };
  return { keys, starts: Int32Array.from(starts), changes, positions: { partition, ofKey } };
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
  const positions = partition === null ? null : { partition, ofKey };
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
