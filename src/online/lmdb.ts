/**
 * The embedded online store: one LMDB environment that any number of processes and threads open at once.
 *
 * Three databases in it: heads, blocks, and bookkeeping. A head's version is the id of the transaction that wrote it, which
 * LMDB never uses twice; so a key that is deleted and made again never shows an old version again.
 */
import { type Database, getLastVersion } from 'lmdb';
import type { Head, OnlineStore, PageKey, PageWrite } from './contract.ts';
import { copyOf } from './copied.ts';
import { LmdbEnvironment } from './lmdb_env.ts';
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
  const environment = new LmdbEnvironment(
    {
      path,
      area: 'online',
      name: 'the online store',
      repair:
        'the store can be rebuilt from history: move the folder away and run `samewise materialize --full`',
    },
    3,
  );
  return environment.guard(() => new LmdbStore(environment));
}

class LmdbStore implements OnlineStore {
  readonly #environment: LmdbEnvironment;
  readonly #heads: Store;
  readonly #blocks: Store;
  readonly #meta: Store;

  constructor(environment: LmdbEnvironment) {
    const binary = { encoding: 'binary', keyEncoding: 'binary' } as const;
    const pages = { encoding: 'binary', keyEncoder: KEY_ENCODER } as const;
    const { root } = environment;
    this.#environment = environment;
    this.#heads = root.openDB('heads', { ...pages, useVersions: true } as object);
    this.#blocks = root.openDB('blocks', pages as object);
    const meta = root.openDB('meta', binary);
    this.#meta = meta;
    environment.checkFormat(
      FORMAT,
      () => meta.getBinary(bytesOf('format')),
      (bytes) => meta.put(bytesOf('format'), bytes),
    );
  }

  heads(keys: readonly PageKey[]): (Head | undefined)[] {
    return this.#environment.guard(() => {
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
    return this.#environment.guard(() => keys.map(({ view, key }) => this.#version(view, key)));
  }

  #version(view: string, key: Uint8Array): number {
    return this.#heads.getBinaryFast(headKey(view, key)) === undefined ? 0 : getLastVersion();
  }

  async blocks(key: PageKey, blocks: readonly number[]): Promise<(Uint8Array | undefined)[]> {
    return this.#environment.guard(() =>
      blocks.map((block) => {
        const bytes = this.#blocks.getBinaryFast(blockKey(key.view, key.key, block));
        return bytes === undefined ? undefined : copyOf(bytes);
      }),
    );
  }

  async compareAndSet(writes: readonly PageWrite[]): Promise<boolean[]> {
    const applied = new Array<boolean>(writes.length).fill(false);
    this.#environment.transaction(() => {
      const version = this.#environment.root.getWriteTxnId();
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
    this.#environment.transaction(() => {
      next = this.#environment.root.getWriteTxnId();
      return false;
    });
    return next - 1;
  }

  async *scan(view: string, after?: Uint8Array): AsyncIterable<Uint8Array> {
    const { start, end } = viewRange(view);
    let from = after === undefined ? start : headBytes(view, after);
    for (;;) {
      // A chunk a turn: no read transaction stays open, so the space of what others drop can be used again.
      const chunk = this.#environment.guard(() => [
        ...this.#heads.getKeys({ start: from, exclusiveStart: true, end, limit: SCAN_KEYS }),
      ]);
      for (const key of chunk) yield entityKeyOf(key);
      if (chunk.length < SCAN_KEYS) return;
      from = chunk.at(-1)!;
    }
  }

  async size(view: string): Promise<Size> {
    return this.#environment.guard(() => this.#size(view));
  }

  async dropView(view: string): Promise<void> {
    const { start, end } = viewRange(view);
    for (;;) {
      let removed = 0;
      this.#environment.transaction(() => {
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
    return this.#environment.guard(() => {
      const bytes = this.#meta.getBinaryFast(bytesOf(`meta/${name}`));
      return bytes === undefined ? undefined : copyOf(bytes);
    });
  }

  async putMeta(name: string, value: Uint8Array): Promise<void> {
    this.#environment.transaction(() => this.#meta.put(bytesOf(`meta/${name}`), value));
  }

  async close(): Promise<void> {
    await this.#environment.close();
  }
}

function sizeIn(sizes: Map<string, Size>, view: string): Size {
  let size = sizes.get(view);
  if (size === undefined) sizes.set(view, (size = { keys: 0, bytes: 0 }));
  return size;
}

const utf8 = new TextEncoder();
function bytesOf(text: string): Uint8Array {
  return utf8.encode(text);
}
