/** Keys that the online store has but history no longer: they are removed in a full run. */
import { murmur3Words } from '../base/hash.ts';
import {
  type BuildRequest,
  type Counts,
  hasPage,
  noCounts,
  settleKeys,
} from '../stream/page_builder.ts';

/** Keys that are looked at again at once. */
const CHUNK = 10_000;

/**
 * Compares all keys of history with all that are stored, and settles those that are only stored. Holds a hash of 8 bytes
 * a key, so the caller first makes sure that there is something to find.
 */
export async function removeVanished(request: BuildRequest): Promise<Counts> {
  const known = new HashSet();
  const history = { ...request.history, shard: null, changedSinceUs: null };
  for await (const batch of request.offline.history(history))
    for (const [i, key] of batch.keys.entries())
      if (hasPage(request.program, batch, i)) known.add(key);
  let removed = 0;
  let gone: Uint8Array[] = [];
  const settle = async () => {
    // Before one goes, history is asked again: it may just have come.
    removed += (await settleKeys(request, gone)).removed;
    gone = [];
  };
  for await (const key of request.online.scan(request.program.id)) {
    if (known.has(key)) continue;
    gone.push(key);
    if (gone.length === CHUNK) await settle();
  }
  await settle();
  return { ...noCounts(), removed };
}

/** A set of 64-bit hashes in open addressing; of two keys that share one, both count as known. */
class HashSet {
  #words = new Uint32Array(2 << 16);
  #size = 0;

  add(key: Uint8Array): void {
    const [hi, lo] = hashOf(key);
    if (this.#put(hi, lo) && ++this.#size * 4 > this.#words.length) this.#grow();
  }

  has(key: Uint8Array): boolean {
    const [hi, lo] = hashOf(key);
    const at = this.#find(hi, lo);
    return this.#words[at] === hi && this.#words[at + 1] === lo;
  }

  /** The place of a hash, or the free one where it belongs. */
  #find(hi: number, lo: number): number {
    const words = this.#words;
    const mask = words.length - 1;
    let at = (lo * 2) & mask;
    while (!(words[at] === hi && words[at + 1] === lo) && (words[at] !== 0 || words[at + 1] !== 0))
      at = (at + 2) & mask;
    return at;
  }

  #put(hi: number, lo: number): boolean {
    const at = this.#find(hi, lo);
    if (this.#words[at] === hi && this.#words[at + 1] === lo) return false;
    this.#words[at] = hi;
    this.#words[at + 1] = lo;
    return true;
  }

  #grow(): void {
    const old = this.#words;
    this.#words = new Uint32Array(old.length * 2);
    for (let i = 0; i < old.length; i += 2)
      if (old[i] !== 0 || old[i + 1] !== 0) this.#put(old[i]!, old[i + 1]!);
  }
}

/** 0 stands for a free place. */
function hashOf(key: Uint8Array): readonly [number, number] {
  const words = murmur3Words(key);
  return words[0] === 0 && words[1] === 0 ? [0, 1] : words;
}
