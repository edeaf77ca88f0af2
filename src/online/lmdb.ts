/**
 * The embedded online store: one LMDB environment that any number of processes and threads open at once.
 *
 * Three databases in it: heads, blocks, and bookkeeping. A head's version is the id of the transaction that wrote it, which
 * LMDB never uses twice; so a key that is deleted and made again never shows an old version again. Writes are synchronous
 * transactions that are on disk when they return; the callbacks of lmdb-js 3.5.6's asynchronous ones were seen never to run.
 */
import { join } from 'node:path';
import { ABORT, type Database, getLastVersion, open, type RootDatabase } from 'lmdb';
import type { Head, OnlineStore, PageKey, PageWrite } from './contract.ts';
import { damaged, lmdbFailure } from './lmdb_errors.ts';
import { checkDataFile } from './lmdb_file.ts';
import {
  blockKey,
  blockRange,
  entityKeyOf,
  headBytes,
  headKey,
  KEY_ENCODER,
  viewRange,
} from './lmdb_keys.ts';

/** Version of the layout of keys and values in the environment; in the bookkeeping under `format`. */
const FORMAT = 'samewise-online 1';
/** Keys that one turn of a scan reads. */
const SCAN_KEYS = 1_000;
/** Keys that one transaction of `dropView` removes. */
const DROP_KEYS = 10_000;

type Store = Database<Uint8Array, any>;
interface Size {
  keys: number;
  bytes: number;
}

/** Opens or makes the store in the folder `path`. */
export async function openLmdbStore(path: string): Promise<OnlineStore> {
  try {
    checkDataFile(join(path, 'data.mdb'));
    const root = open({
      path,
      noSubdir: false,
      maxDbs: 3,
      // A commit returns when it is on disk, so that «applied» means durable.
      overlappingSync: false,
    });
    const binary = { encoding: 'binary', keyEncoding: 'binary' } as const;
    const pages = { encoding: 'binary', keyEncoder: KEY_ENCODER } as const;
    const store = new LmdbStore(
      path,
      root,
      root.openDB('heads', { ...pages, useVersions: true } as object),
      root.openDB('blocks', pages as object),
      root.openDB('meta', binary),
    );
    store.checkFormat();
    return store;
  } catch (error) {
    throw lmdbFailure(error, path);
  }
}

class LmdbStore implements OnlineStore {
  readonly #path: string;
  readonly #root: RootDatabase;
  readonly #heads: Store;
  readonly #blocks: Store;
  readonly #meta: Store;

  constructor(path: string, root: RootDatabase, heads: Store, blocks: Store, meta: Store) {
    this.#path = path;
    this.#root = root;
    this.#heads = heads;
    this.#blocks = blocks;
    this.#meta = meta;
  }

  checkFormat(): void {
    const found = this.#meta.getBinary(bytesOf('format'));
    if (found === undefined) {
      this.#transaction(() => this.#meta.put(bytesOf('format'), bytesOf(FORMAT)));
      return;
    }
    const text = new TextDecoder().decode(found);
    if (text !== FORMAT) {
      throw damaged(
        this.#path,
        `its format is ${JSON.stringify(text)}; this version reads ${JSON.stringify(FORMAT)}`,
      );
    }
  }

  heads(keys: readonly PageKey[]): (Head | undefined)[] {
    return this.#guard(() => {
      const out = new Array<Head | undefined>(keys.length);
      for (let i = 0; i < keys.length; i++) {
        const { view, key } = keys[i]!;
        const bytes = this.#heads.getBinaryFast(headKey(view, key));
        out[i] =
          bytes === undefined ? undefined : { bytes: copyOf(bytes), version: getLastVersion() };
      }
      return out;
    });
  }

  versions(keys: readonly PageKey[]): number[] {
    return this.#guard(() => keys.map(({ view, key }) => this.#version(view, key)));
  }

  #version(view: string, key: Uint8Array): number {
    return this.#heads.getBinaryFast(headKey(view, key)) === undefined ? 0 : getLastVersion();
  }

  async blocks(key: PageKey, blocks: readonly number[]): Promise<(Uint8Array | undefined)[]> {
    return this.#guard(() =>
      blocks.map((block) => {
        const bytes = this.#blocks.getBinaryFast(blockKey(key.view, key.key, block));
        return bytes === undefined ? undefined : copyOf(bytes);
      }),
    );
  }

  async compareAndSet(writes: readonly PageWrite[]): Promise<boolean[]> {
    const applied = new Array<boolean>(writes.length).fill(false);
    this.#transaction(() => {
      const version = this.#root.getWriteTxnId();
      const grown = new Map<string, Size>();
      for (let i = 0; i < writes.length; i++)
        applied[i] = this.#apply(writes[i]!, version, sizeIn(grown, writes[i]!.view));
      for (const [view, change] of grown) this.#grow(view, change);
      return applied.includes(true);
    });
    return applied;
  }

  /** Inside a transaction. `change` takes up by how much the view grew. */
  #apply(write: PageWrite, version: number, change: Size): boolean {
    const { view, key } = write;
    const before = this.#heads.getBinaryFast(headKey(view, key));
    if ((before === undefined ? 0 : getLastVersion()) !== write.expect) return false;
    const bytesBefore = before === undefined ? 0 : before.length;
    if (write.head === null) {
      if (before === undefined) return true;
      change.keys--;
      change.bytes -= bytesBefore + this.#removeBlocks(view, key);
      this.#heads.remove(headKey(view, key));
      return true;
    }
    if (before === undefined) change.keys++;
    change.bytes += write.head.length - bytesBefore;
    this.#heads.put(headKey(view, key), write.head, version);
    for (const block of write.dropBlocks) {
      change.bytes -= this.#blockBytes(view, key, block);
      this.#blocks.remove(blockKey(view, key, block));
    }
    for (const [block, bytes] of write.putBlocks) {
      change.bytes += bytes.length - this.#blockBytes(view, key, block);
      this.#blocks.put(blockKey(view, key, block), bytes);
    }
    return true;
  }

  #blockBytes(view: string, key: Uint8Array, block: number): number {
    return this.#blocks.getBinaryFast(blockKey(view, key, block))?.length ?? 0;
  }

  /** Inside a transaction: removes all blocks of a key and gives the bytes they held. */
  #removeBlocks(view: string, key: Uint8Array): number {
    const { start, last } = blockRange(view, key);
    const found = [...this.#blocks.getKeys({ start, end: last, inclusiveEnd: true })];
    let bytes = 0;
    for (const block of found) {
      bytes += this.#blocks.getBinaryFast(block)!.length;
      this.#blocks.remove(block);
    }
    return bytes;
  }

  #grow(view: string, change: Size): void {
    const size = this.#size(view);
    const sum = Float64Array.of(size.keys + change.keys, size.bytes + change.bytes);
    this.#meta.put(bytesOf(`size/${view}`), new Uint8Array(sum.buffer));
  }

  #size(view: string): Size {
    const stored = this.#meta.getBinary(bytesOf(`size/${view}`));
    if (stored === undefined) return { keys: 0, bytes: 0 };
    const [keys, bytes] = new Float64Array(Uint8Array.from(stored).buffer);
    return { keys: keys!, bytes: bytes! };
  }

  async fence(): Promise<number> {
    let next = 0;
    // The next writer gets this id or a greater one, for nothing is written under it here.
    this.#transaction(() => {
      next = this.#root.getWriteTxnId();
      return false;
    });
    return next - 1;
  }

  async *scan(view: string, after?: Uint8Array): AsyncIterable<Uint8Array> {
    const { start, end } = viewRange(view);
    let from = after === undefined ? start : headBytes(view, after);
    for (;;) {
      // A chunk a turn: no read transaction stays open, so the space of what others drop can be used again.
      const chunk = this.#guard(() => [
        ...this.#heads.getKeys({ start: from, exclusiveStart: true, end, limit: SCAN_KEYS }),
      ]);
      for (const key of chunk) yield entityKeyOf(key);
      if (chunk.length < SCAN_KEYS) return;
      from = chunk.at(-1)!;
    }
  }

  async size(view: string): Promise<Size> {
    return this.#guard(() => this.#size(view));
  }

  async dropView(view: string): Promise<void> {
    const { start, end } = viewRange(view);
    for (;;) {
      let removed = 0;
      this.#transaction(() => {
        const chunk = [...this.#heads.getKeys({ start, end, limit: DROP_KEYS })];
        for (const stored of chunk) {
          this.#removeBlocks(view, entityKeyOf(stored));
          this.#heads.remove(stored);
        }
        removed = chunk.length;
        if (removed < DROP_KEYS) this.#meta.remove(bytesOf(`size/${view}`));
      });
      if (removed < DROP_KEYS) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async getMeta(name: string): Promise<Uint8Array | undefined> {
    return this.#guard(() => {
      const bytes = this.#meta.getBinaryFast(bytesOf(`meta/${name}`));
      return bytes === undefined ? undefined : copyOf(bytes);
    });
  }

  async putMeta(name: string, value: Uint8Array): Promise<void> {
    this.#transaction(() => this.#meta.put(bytesOf(`meta/${name}`), value));
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  /** Runs `body` in a transaction that is on disk at the end; `false` or an error from it leaves everything as it was. */
  #transaction(body: () => unknown): void {
    this.#guard(() =>
      this.#root.transactionSync(() => (body() === false ? (ABORT as unknown) : undefined)),
    );
    // After a lost compare-and-set the caller reads again, and has to see what the winner wrote.
    this.#root.resetReadTxn();
  }

  #guard<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      throw lmdbFailure(error, this.#path);
    }
  }
}

function sizeIn(sizes: Map<string, Size>, view: string): Size {
  let size = sizes.get(view);
  if (size === undefined) sizes.set(view, (size = { keys: 0, bytes: 0 }));
  return size;
}

/** Room for copies, filled from the front: an allocation for each page would cost more than getting and copying it. */
const SLAB_BYTES = 1 << 18;
let slab = new Uint8Array(0);
let slabUsed = 0;

/** What a fast get returned, copied, for the next get overwrites the original. Begins at a multiple of 8, as pages like it. */
function copyOf(fast: Uint8Array): Uint8Array {
  const { length } = fast;
  if (slabUsed + length > slab.length) {
    // A value that would waste much of a slab gets memory of its own.
    if (length > SLAB_BYTES >> 3) return new Uint8Array(fast.subarray(0, length));
    slab = new Uint8Array(SLAB_BYTES);
    slabUsed = 0;
  }
  const out = slab.subarray(slabUsed, slabUsed + length);
  out.set(fast.subarray(0, length));
  slabUsed = (slabUsed + length + 7) & ~7;
  return out;
}

const utf8 = new TextEncoder();
function bytesOf(text: string): Uint8Array {
  return utf8.encode(text);
}
