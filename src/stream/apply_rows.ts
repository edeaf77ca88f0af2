/** A batch of rows into the pages of one view. */
import type { SamewiseError } from '../base/errors.ts';
import type { ViewProgram } from '../model/index.ts';
import type { OnlineStore } from '../online/contract.ts';
import { applyToPages } from './apply.ts';
import { type Change, changesByKey, changesOfRows } from './changes.ts';
import { type Evaluated, evaluate } from './evaluate.ts';
import type { ReadBatch } from './read_batch.ts';
import {
  type RowPlace,
  readPlaces,
  type StoredPlace,
  samePlace,
  stands,
  writePlaces,
} from './row_index.ts';

export interface AppliedRows {
  readonly rows: number;
  /** Pages that are others now. */
  readonly keys: number;
  readonly keyless: number;
  readonly failed: readonly { readonly rows: number; readonly error: SamewiseError }[];
}

/** Applies the rows from number `first` on, without those that are late; the same ones again change nothing. */
export async function applyRows(
  online: OnlineStore,
  program: ViewProgram,
  batch: ReadBatch,
  first: number,
): Promise<AppliedRows> {
  const evaluated = evaluate(program, batch.rows);
  const failed = [...evaluated.failed]
    .filter(([row]) => row >= first)
    .map(([, error]) => ({ rows: 1, error }));
  const { written, failedKeys } = program.source.mutable
    ? await applyMutable(online, program, batch, evaluated, first)
    : await applyAppended(online, program, batch, evaluated, first);
  failed.push(...failedKeys);
  const rows = batch.rows.length - first;
  return { rows, keys: written, keyless: evaluated.keyless, failed };
}

interface Written {
  readonly written: number;
  readonly failedKeys: AppliedRows['failed'];
}

async function applyAppended(
  online: OnlineStore,
  program: ViewProgram,
  batch: ReadBatch,
  evaluated: Evaluated,
  first: number,
): Promise<Written> {
  const { late, retract } = batch;
  const { taken } = evaluated;
  const changes = changesOfRows(batch.partition, { ...batch, ...evaluated }, (row) => {
    if (row < first || late?.[row] === 1) return false;
    return taken === null || taken[row] === 1 || retract?.[row] === 1;
  });
  const { written, failed } = await applyToPages(online, program, changes);
  const failedKeys = failed.map(({ key, error }) => ({
    rows: changes.starts[key + 1]! - changes.starts[key]!,
    error,
  }));
  return { written, failedKeys };
}

/** All changes of one row of a table, in the order of the log. */
interface RowHistory {
  readonly id: bigint;
  /** Row numbers of the batch. */
  readonly rows: number[];
}

/**
 * Out of the old place, into the new, then the index: see row_index.ts. Of several changes of one row only the last one goes in,
 * but an earlier attempt may have ended between any two of them, so the row is taken out of every place that it passed.
 */
async function applyMutable(
  online: OnlineStore,
  program: ViewProgram,
  batch: ReadBatch,
  evaluated: Evaluated,
  first: number,
): Promise<Written> {
  const { timeUs, arrivalUs, retract, positions } = batch;
  const { keys, keyOf, taken, columns, failed } = evaluated;
  const byId = new Map<bigint, RowHistory>();
  for (let row = first; row < batch.rows.length; row++) {
    if (failed.has(row)) continue;
    const id = batch.ids[row]!;
    const known = byId.get(id);
    if (known === undefined) byId.set(id, { id, rows: [row] });
    else known.rows.push(row);
  }
  const placeOf = (row: number): RowPlace => {
    const gone = keyOf[row]! < 0 || retract?.[row] === 1 || taken?.[row] === 0;
    return {
      key: gone ? null : keys[keyOf[row]!]!,
      timeUs: timeUs[row]!,
      arrivalUs: arrivalUs[row]!,
    };
  };
  /** The changes that bring a row from where it is stored to where its last change puts it. */
  const changesOf = ({ id, rows }: RowHistory, stored: StoredPlace | undefined): Change[] => {
    const last = rows.at(-1)!;
    const next = placeOf(last);
    const common = { arrivalUs: next.arrivalUs, id, position: positions[last]! };
    const passed = rows.slice(0, -1).map(placeOf);
    const holds = stored === undefined || stands(next, stored);
    // A later arrival is there already: what these may have put in before they were cut off goes.
    const left = holds ? [...passed, ...(stored ? [stored] : [])] : [...passed, next];
    const final = holds ? next : stored!;
    const out = distinctPlaces(left.filter((place) => !samePlace(place, final)));
    const changes: Change[] = out.map((place) => ({
      ...common,
      // Taken out at the arrival of what replaced it, at most: the place may hold something again since.
      arrivalUs: Math.min(common.arrivalUs, final.arrivalUs),
      key: place.key!,
      timeUs: place.timeUs,
      row: -1,
    }));
    if (holds && next.key !== null)
      changes.push({ ...common, key: next.key, timeUs: next.timeUs, row: last });
    return changes;
  };
  let left = [...byId.values()];
  let written = 0;
  const failedKeys: { rows: number; error: SamewiseError }[] = [];
  while (left.length > 0) {
    const ids = left.map(({ id }) => id);
    const before = await readPlaces(online, program, ids);
    const all = left.flatMap((history, i) => changesOf(history, before[i]));
    const changes = changesByKey(batch.partition, columns, all);
    const applied = await applyToPages(online, program, changes);
    written += applied.written;
    for (const { key, error } of applied.failed)
      failedKeys.push({ rows: changes.starts[key + 1]! - changes.starts[key]!, error });
    const places = left.map(({ rows }) => placeOf(rows.at(-1)!));
    const lost = await writePlaces(online, program, ids, before, places);
    left = lost.map((at) => left[at]!);
  }
  return { written, failedKeys };
}

/** The places where a row may lie, each once. */
function distinctPlaces(places: readonly RowPlace[]): RowPlace[] {
  const out: RowPlace[] = [];
  for (const place of places)
    if (place.key !== null && !out.some((other) => samePlace(other, place))) out.push(place);
  return out;
}
