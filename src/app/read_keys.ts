/**
 * Evicted keys that came back because they were read: since when they are back. Without it a key that is read and to which nothing happens
 * would leave with every pass of the eviction, and cost a scan of history each time. Kept as pages of a view id of its own.
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { sha256Hex } from '../base/hash.ts';
import type { InstantUs } from '../base/time.ts';
import type { Head, OnlineStore, PageWrite } from '../online/contract.ts';

/** A view's id in the online store, as in `ViewProgram`. */
type View = { readonly id: string };

const NOTHING = { putBlocks: new Map<number, Uint8Array>(), dropBlocks: [] };

/** The view id under which it is kept when keys of a view came back. */
export function readViewOf({ id }: View): string {
  return sha256Hex(`read keys of ${id}`).slice(0, 16);
}

/** Says that keys are back. Who says the same at the same time is as right. */
export async function noteReads(
  online: OnlineStore,
  view: View,
  keys: readonly Uint8Array[],
  nowUs: InstantUs,
): Promise<void> {
  const pages = pagesOf(view, keys);
  const heads = await online.heads(pages);
  const writer = new ByteWriter(8);
  writer.f64(nowUs);
  const head = writer.finish();
  await online.compareAndSet(
    pages.map((page, i) => ({ ...page, expect: heads[i]?.version ?? 0, head, ...NOTHING })),
  );
}

/** What is known of keys in their order; undefined where one has not come back since it was last evicted. */
export async function readNotes(
  online: OnlineStore,
  view: View,
  keys: readonly Uint8Array[],
): Promise<(Head | undefined)[]> {
  return online.heads(pagesOf(view, keys));
}

/** When the key of a note came back. */
export function noteUs({ bytes }: Head): InstantUs {
  return new ByteReader(bytes).f64();
}

/** Forgets a key that leaves, as its note was. */
export function forgetNote(view: View, key: Uint8Array, { version }: Head): PageWrite {
  return { view: readViewOf(view), key, expect: version, head: null, ...NOTHING };
}

function pagesOf(view: View, keys: readonly Uint8Array[]) {
  const id = readViewOf(view);
  return keys.map((key) => ({ view: id, key }));
}
