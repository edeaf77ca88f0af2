/**
 * The row index of a view over a mutable source: id → where the row lies (key, t) and since which arrival. A correction
 * so finds what it replaces, in whichever timeline that is. Kept as pages of a view id of its own.
 *
 * An entry is only ever replaced by a later arrival. It moves last, after the timelines: who repeats a step that was cut off
 * finds the old entry and does the same again.
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { sha256Hex } from '../base/hash.ts';
import type { ViewProgram } from '../model/index.ts';
import type { OnlineStore, PageKey } from '../online/contract.ts';

/** Entries that one transaction stores. */
const ENTRIES_A_WRITE = 10_000;

/** Where a row lies; `key` null: it was taken away, or is not in the view. */
export interface RowPlace {
  readonly key: Uint8Array | null;
  readonly timeUs: number;
  readonly arrivalUs: number;
}

/** A place as stored, with the version that a replacement expects. */
export interface StoredPlace extends RowPlace {
  readonly version: number;
}

/** The view id under which the index of a view lies. */
export function indexViewOf({ id }: Pick<ViewProgram, 'id'>): string {
  return sha256Hex(`row index of ${id}`).slice(0, 16);
}

/** Whether `next` stands against what is stored: the later arrival does, on equal arrival what takes the row away. */
export function stands(next: RowPlace, stored: RowPlace | undefined): boolean {
  if (stored === undefined || next.arrivalUs !== stored.arrivalUs)
    return stored === undefined || next.arrivalUs > stored.arrivalUs;
  return next.key === null && stored.key !== null;
}

export async function readPlaces(
  online: OnlineStore,
  program: ViewProgram,
  ids: readonly bigint[],
): Promise<(StoredPlace | undefined)[]> {
  const view = indexViewOf(program);
  const heads = await online.heads(ids.map((id) => pageOf(view, id)));
  return heads.map((head) => {
    if (head === undefined) return undefined;
    const reader = new ByteReader(head.bytes);
    const gone = reader.u8() === 1;
    const timeUs = reader.f64();
    const arrivalUs = reader.f64();
    const key = gone ? null : reader.raw(reader.remaining).slice();
    return { key, timeUs, arrivalUs, version: head.version };
  });
}

/**
 * Stores the places that stand against `before`, which is what `readPlaces` gave. Returns the positions that another writer
 * was faster with; what is stored there has to be read again.
 */
export async function writePlaces(
  online: OnlineStore,
  program: ViewProgram,
  ids: readonly bigint[],
  before: readonly (StoredPlace | undefined)[],
  places: readonly RowPlace[],
): Promise<number[]> {
  const view = indexViewOf(program);
  const standing = places.flatMap((place, i) => (stands(place, before[i]) ? [i] : []));
  const lost: number[] = [];
  for (let from = 0; from < standing.length; from += ENTRIES_A_WRITE) {
    const some = standing.slice(from, from + ENTRIES_A_WRITE);
    const applied = await online.compareAndSet(
      some.map((i) => ({
        ...pageOf(view, ids[i]!),
        expect: before[i]?.version ?? 0,
        head: encode(places[i]!),
        putBlocks: new Map(),
        dropBlocks: [],
      })),
    );
    lost.push(...some.filter((_, i) => !applied[i]));
  }
  return lost;
}

/**
 * Stores places of distinct ids, of which each stands only against an earlier arrival, whoever else writes. Gives the numbers of
 * those that a later arrival has overtaken: the row lies elsewhere, or nowhere.
 */
export async function mergePlaces(
  online: OnlineStore,
  program: ViewProgram,
  ids: readonly bigint[],
  places: readonly RowPlace[],
): Promise<number[]> {
  const overtaken: number[] = [];
  let left = ids.map((_, i) => i);
  while (left.length > 0) {
    const some = left.map((i) => ids[i]!);
    const before = await readPlaces(online, program, some);
    left.forEach((i, at) => {
      const stored = before[at];
      if (stored === undefined || stored.arrivalUs < places[i]!.arrivalUs) return;
      if (!samePlace(stored, places[i]!)) overtaken.push(i);
    });
    const lost = await writePlaces(
      online,
      program,
      some,
      before,
      left.map((i) => places[i]!),
    );
    left = lost.map((at) => left[at]!);
  }
  return overtaken;
}

/** Whether a row lies at the same place in both. */
export function samePlace(a: RowPlace, b: RowPlace): boolean {
  if (a.key === null || b.key === null) return a.key === b.key;
  return a.timeUs === b.timeUs && Buffer.compare(a.key, b.key) === 0;
}

function pageOf(view: string, id: bigint): PageKey {
  const key = new Uint8Array(8);
  new DataView(key.buffer).setBigInt64(0, id);
  return { view, key };
}

const writer = new ByteWriter(64);

function encode({ key, timeUs, arrivalUs }: RowPlace): Uint8Array {
  writer.u8(key === null ? 1 : 0);
  writer.f64(timeUs);
  writer.f64(arrivalUs);
  if (key !== null) writer.raw(key);
  return writer.finish();
}
