/** Keys and writes that the online suite and its child processes share. */
import type { PageWrite } from '../../src/online/contract.ts';

export const TEST_VIEW = '00112233445566ff';

/** An encoded entity key like those of an int64 column. */
export function testKey(n: number): Uint8Array {
  const key = new Uint8Array(9);
  key[0] = 2;
  new DataView(key.buffer).setBigInt64(1, BigInt(n));
  return key;
}

/** A write of a head alone. */
export function put(key: Uint8Array, expect: number, head: Uint8Array | null): PageWrite {
  return { view: TEST_VIEW, key, expect, head, putBlocks: new Map(), dropBlocks: [] };
}
