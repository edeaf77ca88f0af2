/**
 * Keys as LMDB holds them. Head: the view's id (8 bytes), then the entity key. Block: the view's id, the length of
 * the entity key (2 bytes), the key, the block's number (4 bytes, big-endian): no key's blocks share a prefix.
 */
import { assert } from '../base/errors.ts';
import { MAX_KEY_BYTES } from '../types/key.ts';

const VIEW_BYTES = 8;

const prefixes = new Map<string, Uint8Array>();
let lastView = '';
let lastPrefix = new Uint8Array(VIEW_BYTES);

/** The 8 bytes of a view's id. */
function prefixOf(view: string): Uint8Array {
  if (view === lastView) return lastPrefix;
  let prefix = prefixes.get(view);
  if (prefix === undefined) {
    assert(/^[0-9a-f]{16}$/.test(view), `a view id is 16 hex characters, not ${view}`);
    prefix = Uint8Array.fromHex(view);
    prefixes.set(view, prefix);
  }
  lastView = view;
  lastPrefix = prefix as Uint8Array<ArrayBuffer>;
  return prefix;
}

/**
 * A key that is written straight into LMDB's buffer, with nothing allocated: one object stands for all of them, so it is
 * good for the one call that it is made for.
 */
class Pointed {
  view = '';
  key = new Uint8Array(0);
  /** −1: a head. */
  block = -1;
}
const pointed = new Pointed();
export type StoreKey = Pointed | Uint8Array;

/** The key of a head; good for one call. */
export function headKey(view: string, key: Uint8Array): StoreKey {
  pointed.view = view;
  pointed.key = key as Uint8Array<ArrayBuffer>;
  pointed.block = -1;
  return pointed;
}

/** The key of a block; good for one call. */
export function blockKey(view: string, key: Uint8Array, block: number): StoreKey {
  pointed.view = view;
  pointed.key = key as Uint8Array<ArrayBuffer>;
  pointed.block = block;
  return pointed;
}

/** How lmdb-js writes and reads keys: `writeKey` returns where the key ends. */
export const KEY_ENCODER = {
  writeKey(key: StoreKey, target: Uint8Array, start: number): number {
    if (key !== pointed) {
      target.set(key as Uint8Array, start);
      return start + (key as Uint8Array).length;
    }
    let at = start;
    const prefix = prefixOf(pointed.view);
    for (let i = 0; i < VIEW_BYTES; i++) target[at++] = prefix[i]!;
    const { key: bytes, block } = pointed;
    if (block >= 0) {
      target[at++] = bytes.length >>> 8;
      target[at++] = bytes.length;
    }
    // A loop is faster than a call for as few bytes as most keys have.
    if (bytes.length > 64) target.set(bytes, at);
    else for (let i = 0; i < bytes.length; i++) target[at + i] = bytes[i]!;
    at += bytes.length;
    if (block >= 0) {
      target[at++] = block >>> 24;
      target[at++] = block >>> 16;
      target[at++] = block >>> 8;
      target[at++] = block;
    }
    return at;
  },
  readKey(target: Uint8Array, start: number, end: number): Uint8Array {
    return new Uint8Array(target.subarray(start, end));
  },
};

/** First (inclusive) and last (exclusive) possible head key of a view. */
export function viewRange(view: string): { start: Uint8Array; end: Uint8Array } {
  const start = prefixOf(view).slice();
  // The zero-padded maximum: longer than any head key that starts with the same 8 bytes can sort.
  const end = new Uint8Array(VIEW_BYTES + MAX_KEY_BYTES + 1).fill(0xff);
  end.set(start);
  return { start, end };
}

/** First (inclusive) and last (inclusive) possible block key of an entity key. */
export function blockRange(view: string, key: Uint8Array): { start: Uint8Array; last: Uint8Array } {
  const start = new Uint8Array(VIEW_BYTES + 2 + key.length + 4);
  KEY_ENCODER.writeKey(blockKey(view, key, 0), start, 0);
  const last = start.slice();
  last.fill(0xff, last.length - 4);
  return { start, last };
}

/** The raw bytes of a head's key, to begin a range with. */
export function headBytes(view: string, key: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(VIEW_BYTES + key.length);
  KEY_ENCODER.writeKey(headKey(view, key), bytes, 0);
  return bytes;
}

/** The entity key within a head's key. */
export function entityKeyOf(stored: Uint8Array): Uint8Array {
  return new Uint8Array(stored.subarray(VIEW_BYTES));
}
