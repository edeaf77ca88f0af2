/** A head of a page that is kept in this process, with the blocks that were read with it, and what they were opened as. */
import type { Head } from '../online/contract.ts';
import { type BlockSource, checksumOf, type OpenedPages } from '../timeline/index.ts';

type Blocks = Map<number, Uint8Array>;

export class KeptHead implements Head {
  readonly bytes: Uint8Array;
  readonly version: number;
  readonly opened: OpenedPages;
  #blocks: Blocks | null = null;
  /** Of the version before, which mostly names the same: those that are asked for come over, the others are left behind. */
  readonly #before: Blocks | null;

  constructor({ bytes, version }: Head, opened: OpenedPages, before: KeptHead | undefined) {
    this.bytes = own(bytes);
    this.version = version;
    this.opened = opened;
    this.#before = before === undefined ? null : before.#blocks;
  }

  /** A block, if it is kept and the very one that the index names: a key that was deleted and made again gives its numbers anew. */
  readonly block: BlockSource = (number, checksum) => {
    const known = this.#blocks?.get(number);
    const found = known ?? this.#before?.get(number);
    if (found === undefined || checksumOf(found) !== checksum) return undefined;
    if (known === undefined) this.#put(number, found);
    return found;
  };

  /** Takes blocks that were read with it. */
  put(blocks: ReadonlyMap<number, Uint8Array>): void {
    for (const [number, block] of blocks) this.#put(number, own(block));
  }

  #put(number: number, block: Uint8Array): void {
    this.#blocks ??= new Map();
    this.#blocks.set(number, block);
  }

  /** Bytes of the head and of all blocks that it holds on to. */
  get size(): number {
    let size = this.bytes.length;
    for (const blocks of [this.#blocks, this.#before])
      if (blocks !== null) for (const block of blocks.values()) size += block.length;
    return size;
  }
}

/** What came may be a small part of a large buffer, all of which would be kept. */
function own(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
