/** A batch of rows into the pages of one view. */
import type { SamewiseError } from '../base/errors.ts';
import type { ViewProgram } from '../model/index.ts';
import type { OnlineStore } from '../online/contract.ts';
import { applyToPages, type Breathe } from './apply.ts';
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

/** Rows of a batch from number `first` on. */
export interface BatchPart {
  readonly batch: ReadBatch;
  readonly first: number;
}

export interface AppliedRows {
  readonly rows: number;
  /** Pages that are others now. What is written for several parts at once counts for the first of them. */
  readonly keys: number;
  readonly keyless: number;
  readonly failed: readonly { readonly rows: number; readonly error: SamewiseError }[];
}

/**
 * Applies the rows of all parts without those that are late; the same ones again change nothing. A page that has rows of several of
 * them is written once. Says of each part what became of it. `breathe` as in `applyToPages`.
 */
export async function applyRows(
  online: OnlineStore,
  program: ViewProgram,
  parts: readonly BatchPart[],
  breathe?: Breathe,
): Promise<AppliedRows[]> {
  const all = parts.map((part) => ({ ...part, evaluated: evaluate(program, part.batch.rows) }));
  const written: Written[] = [];
  // What a table's row was before is looked up once the changes before it are in.
  if (program.source.mutable)
    for (const part of all) written.push(await applyMutable(online, program, part, breathe));
  else written.push(await applyAppended(online, program, all, breathe));
  return all.map(({ batch, first, evaluated }, i) => {
    const ownFailed = [...evaluated.failed]
      .filter(([row]) => row >= first)
      .map(([, error]) => ({ rows: 1, error }));
    return {
      rows: batch.rows.length - first,
      keys: written[i]?.written ?? 0,
      keyless: evaluated.keyless,
      failed: [...ownFailed, ...(written[i]?.failedKeys ?? [])],
    };
  });
}

interface EvaluatedPart extends BatchPart {
  readonly evaluated: Evaluated;
}

interface Written {
  readonly written: number;
  readonly failedKeys: AppliedRows['failed'];
}

async function applyAppended(
  online: OnlineStore,
  program: ViewProgram,
  parts: readonly EvaluatedPart[],
  breathe: Breathe | undefined,
): Promise<Written> {
  const changes = changesOfRows(
    parts.map(({ batch, first, evaluated }) => {
      const { late, retract } = batch;
      const passes = evaluated.taken;
      return {
        ...batch,
        ...evaluated,
        taken: (row) => {
          if (row < first || late?.[row] === 1) return false;
          return passes === null || passes[row] === 1 || retract?.[row] === 1;
        },
      };
    }),
  );
  const { written, failed } = await applyToPages(online, program, changes, breathe);
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
  { batch, first, evaluated }: EvaluatedPart,
  breathe: Breathe | undefined,
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
    const applied = await applyToPages(online, program, changes, breathe);
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
