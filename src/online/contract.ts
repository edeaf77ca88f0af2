/**
 * The online store: pages by key, compare-and-set. It knows nothing of features; what a page holds is the timeline's business.
 *
 * An entity key of a view has one head page and any number of blocks. A block is immutable: it is written under a new number
 * and dropped later, never changed. The head names the blocks that count, so replacing the head is the commit point and a
 * reader that finds a block gone re-reads the head.
 */

/** A view's short prefix and the encoded entity key. */
export interface PageKey {
  /** Id of the view version (see model/fingerprint.ts), 16 hex characters. */
  readonly view: string;
  readonly key: Uint8Array;
}

/** A head as stored. `bytes` belongs to the caller. `version` is what compare-and-set compares; 0 means absent. */
export interface Head {
  readonly bytes: Uint8Array;
  readonly version: number;
}

/** One change of one key: its new head and blocks, if the head is still `expect`. */
export interface PageWrite extends PageKey {
  /** Version of the head that this write was derived from; 0: there was none. */
  readonly expect: number;
  /** The new head; null deletes the key with all its blocks. */
  readonly head: Uint8Array | null;
  readonly putBlocks: ReadonlyMap<number, Uint8Array>;
  readonly dropBlocks: readonly number[];
}

/** A value that is at hand, or a promise of one that a network brings: an embedded store costs its readers no turn. */
export type MaybePromise<T> = T | Promise<T>;

/** All methods fail with a coded `online/…` error when the store does; none of them retries a lost compare-and-set. */
export interface OnlineStore {
  /** Heads in the order of `keys`, undefined where there is none. One round trip; may throw at once, too. */
  heads(keys: readonly PageKey[]): MaybePromise<(Head | undefined)[]>;
  /**
   * Versions of the heads of `keys` in their order, 0 where there is none: what `heads` would say of them, now. Only a store
   * that knows them without a round trip has it: who remembers what it read of a head can ask whether that still is so.
   */
  versions?(keys: readonly PageKey[]): number[];
  /** Blocks of one key in the order of `blocks`, undefined where one is gone. One round trip. */
  blocks(key: PageKey, blocks: readonly number[]): Promise<(Uint8Array | undefined)[]>;
  /**
   * Applies each write whose `expect` still is the head's version: head and blocks together or not at all.
   * Returns for each whether it was applied; false also of one that may have been, where a server was asked again because its
   * answer was lost: whoever derived it looks at the head again, as after any lost race. Durable when resolved, as far as the
   * store promises it.
   */
  compareAndSet(writes: readonly PageWrite[]): Promise<boolean[]>;
  /**
   * A number below the version of every head that is written from now on. So a head whose version is not above a fence
   * was there when the fence was taken: who then reads history has seen all that the head was made from.
   */
  fence(): Promise<number>;
  /**
   * All keys of a view, in the store's order, from after `after` on: the last key of a scan that was left off. A store that has no
   * order of keys may begin again then, and may give a key twice.
   */
  scan(view: string, after?: Uint8Array): AsyncIterable<Uint8Array>;
  /** Number of keys and bytes of a view, as near as the store tells cheaply. */
  size(view: string): Promise<{ keys: number; bytes: number }>;
  /** Removes a view version's pages. */
  dropView(view: string): Promise<void>;
  /** A small value of the store's own bookkeeping, such as how far a view is materialised. */
  getMeta(name: string): Promise<Uint8Array | undefined>;
  putMeta(name: string, value: Uint8Array): Promise<void>;
  close(): Promise<void>;
}
