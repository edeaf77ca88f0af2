/**
 * Keys as LMDB holds them. Head: the view's id (8 bytes), then the entity key. Block: the view's id, the length of
 * the entity key (2 bytes), the key, the block's number (4 bytes, big-endian): no key's blocks share a prefix.
 */
import { assert } from '../base/errors.ts';
import { MAX_KEY_BYTES } from '../types/key.ts';

const VIEW_BYTES = 8;
const scratch = new Uint8Array(VIEW_BYTES + 2 + MAX_KEY_BYTES + 4);

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

/** The key of a head; valid until the next call of this module. */
export function headKey(view: string, key: Uint8Array): Uint8Array {
  scratch.set(prefixOf(view), 0);
  scratch.set(key, VIEW_BYTES);
  return scratch.subarray(0, VIEW_BYTES + key.length);
}

/** The key of a block; valid until the next call of this module. */
export function blockKey(view: string, key: Uint8Array, block: number): Uint8Array {
  const end = blockPrefix(view, key);
  scratch[end] = block >>> 24;
  scratch[end + 1] = block >>> 16;
  scratch[end + 2] = block >>> 8;
  scratch[end + 3] = block;
  return scratch.subarray(0, end + 4);
}

function blockPrefix(view: string, key: Uint8Array): number {
  scratch.set(prefixOf(view), 0);
  scratch[VIEW_BYTES] = key.length >>> 8;
  scratch[VIEW_BYTES + 1] = key.length;
  scratch.set(key, VIEW_BYTES + 2);
  return VIEW_BYTES + 2 + key.length;
}

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
  const end = blockPrefix(view, key);
  const start = new Uint8Array(end + 4);
  start.set(scratch.subarray(0, end));
  const last = start.slice();
  last.fill(0xff, end);
  return { start, last };
}

/** The entity key within a head's key. */
export function entityKeyOf(stored: Uint8Array): Uint8Array {
  return new Uint8Array(stored.subarray(VIEW_BYTES));
}
