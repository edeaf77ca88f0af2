/**
 * Hashes with a fixed meaning: they are written into pages, manifests and the registry, so none
 * of them may ever change without a new format version.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

/** SHA-256 as lower-case hex. */
export function sha256Hex(data: Uint8Array | string): string {
  return bytesToHex(sha256(typeof data === 'string' ? utf8ToBytes(data) : data));
}

/** JSON with sorted keys and without undefined members: one text for one value. */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  // Text is appended rather than joined from lists: plans of large registries spend their time here.
  let text = '';
  if (Array.isArray(value)) {
    for (const item of value)
      text += `${text === '' ? '' : ','}${canonicalJson(item === undefined ? null : item)}`;
    return `[${text}]`;
  }
  for (const key of Object.keys(value).sort()) {
    const member = (value as Record<string, unknown>)[key];
    if (member !== undefined)
      text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(member)}`;
  }
  return `{${text}}`;
}

/**
 * A 64-bit hash of bytes: MurmurHash3_x86_128 (A. Appleby), its first two 32-bit words as one signed
 * 64-bit integer. Used for event ids, hash buckets and HyperLogLog.
 */
export function hash64(bytes: Uint8Array): bigint {
  const [hi, lo] = murmur3Words(bytes);
  return BigInt.asIntN(64, (BigInt(hi) << 32n) | BigInt(lo));
}

/** The two words of `hash64`, each an unsigned 32-bit number: no bigint on a hot path. */
export function murmur3Words(bytes: Uint8Array, seed = 0): readonly [number, number] {
  const c1 = 0x239b961b;
  const c2 = 0xab0e9789;
  const c3 = 0x38b34ae5;
  const c4 = 0xa1e38b93;
  let h1 = seed;
  let h2 = seed;
  let h3 = seed;
  let h4 = seed;
  const length = bytes.length;
  const blocks = length >> 4;
  for (let i = 0; i < blocks; i++) {
    const o = i << 4;
    h1 ^= Math.imul(rotl(Math.imul(word(bytes, o), c1), 15), c2);
    h1 = (Math.imul((rotl(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotl(Math.imul(word(bytes, o + 4), c2), 16), c3);
    h2 = (Math.imul((rotl(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotl(Math.imul(word(bytes, o + 8), c3), 17), c4);
    h3 = (Math.imul((rotl(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotl(Math.imul(word(bytes, o + 12), c4), 18), c1);
    h4 = (Math.imul((rotl(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  const tail = blocks << 4;
  const k = [0, 0, 0, 0];
  for (let i = tail; i < length; i++) k[(i - tail) >> 2]! |= bytes[i]! << (((i - tail) & 3) << 3);
  if (length > tail + 12) h4 ^= Math.imul(rotl(Math.imul(k[3]!, c4), 18), c1);
  if (length > tail + 8) h3 ^= Math.imul(rotl(Math.imul(k[2]!, c3), 17), c4);
  if (length > tail + 4) h2 ^= Math.imul(rotl(Math.imul(k[1]!, c2), 16), c3);
  if (length > tail) h1 ^= Math.imul(rotl(Math.imul(k[0]!, c1), 15), c2);
  h1 ^= length;
  h2 ^= length;
  h3 ^= length;
  h4 ^= length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = avalanche(h1);
  h2 = avalanche(h2);
  h3 = avalanche(h3);
  h4 = avalanche(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  return [h1 >>> 0, h2 >>> 0];
}

function word(b: Uint8Array, o: number): number {
  return b[o]! | (b[o + 1]! << 8) | (b[o + 2]! << 16) | (b[o + 3]! << 24);
}

function rotl(x: number, r: number): number {
  return (x << r) | (x >>> (32 - r));
}

function avalanche(h: number): number {
  let x = h;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}
