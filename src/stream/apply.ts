/** Changes into pages: by key, with compare-and-set, again for those that another writer was faster with. */
import { SamewiseError } from '../base/errors.ts';
import type { ViewProgram } from '../model/index.ts';
import type { Head, OnlineStore, PageWrite } from '../online/contract.ts';
import { applyChanges, type Update } from '../timeline/index.ts';
import { decodeKey, printKey } from '../types/key.ts';
import { changesOfKey, type KeyedChanges } from './changes.ts';

/** Keys whose heads are held at once. */
const KEYS_A_READ = 2_000;
/** Keys and bytes that one transaction stores, at most and about: a thread that also answers requests stands still as long. */
const KEYS_A_WRITE = 10_000;
const BYTES_A_WRITE = 8 << 20;
/** How often a key may be lost to other writers in a row; each time needs one of them in between. */
const MAX_ROUNDS = 1_000;

/** A pause, when it is time for one. */
export type Breathe = () => Promise<void> | null;

/** What became of changes. */
export interface Applied {
  /** Keys whose pages are others now. */
  readonly written: number;
  /** Keys whose pages cannot be read, or whose values cannot be summed up: they stay as they are. */
  readonly failed: readonly { readonly key: number; readonly error: SamewiseError }[];
}

/**
 * Applies the changes; the same ones again change nothing. Durable when resolved. A key that fails, such as one whose page is
 * damaged, does not keep the others back. Between keys `breathe` may give a pause for the thread's other work. Throws `online/…`
 * and `stream/contended`.
 */
export async function applyToPages(
  online: OnlineStore,
  program: ViewProgram,
  changes: KeyedChanges,
  breathe: Breathe = () => null,
): Promise<Applied> {
  const failed: { key: number; error: SamewiseError }[] = [];
  let left = changes.keys.map((_, key) => key);
  let written = 0;
  for (let round = 0; left.length > 0; round++) {
    if (round === MAX_ROUNDS) {
      throw new SamewiseError(
        'stream/contended',
        `${left.length} keys changed under every attempt`,
        {
          where: { view: program.view.name },
          hint: 'do it again: what is applied already stays as it is',
        },
      );
    }
    const lost: number[] = [];
    let writes: PageWrite[] = [];
    let owners: number[] = [];
    let bytes = 0;
    const write = async () => {
      const applied = await online.compareAndSet(writes);
      for (let i = 0; i < owners.length; i++) {
        if (applied[i]) written++;
        else lost.push(owners[i]!);
      }
      writes = [];
      owners = [];
      bytes = 0;
    };
    for (let from = 0; from < left.length; from += KEYS_A_READ) {
      const some = left.slice(from, from + KEYS_A_READ);
      const asked = online.heads(
        some.map((key) => ({ view: program.id, key: changes.keys[key]! })),
      );
      // An embedded store answers at once, and a turn less is a turn less.
      const heads = asked instanceof Promise ? await asked : asked;
      for (let i = 0; i < some.length; i++) {
        const pause = breathe();
        if (pause !== null) await pause;
        const key = some[i]!;
        const atOnce = updateOf(program, changes, key, heads[i], NO_BLOCKS);
        const update = Array.isArray(atOnce)
          ? await updateWithBlocks(online, program, changes, key, heads[i], atOnce)
          : atOnce;
        if (update instanceof SamewiseError) failed.push({ key, error: update });
        else if (update === 'again') lost.push(key);
        else if (update !== null) {
          const { head, putBlocks, dropBlocks } = update;
          const expect = heads[i]?.version ?? 0;
          const page = { view: program.id, key: changes.keys[key]! };
          writes.push({ ...page, expect, head, putBlocks, dropBlocks });
          owners.push(key);
          bytes += head.length;
          for (const block of putBlocks.values()) bytes += block.length;
          if (bytes >= BYTES_A_WRITE || writes.length === KEYS_A_WRITE) await write();
        }
      }
    }
    if (writes.length > 0) await write();
    left = lost;
  }
  return { written, failed };
}

const NO_BLOCKS: ReadonlyMap<number, Uint8Array> = new Map();
/** Ends an attempt for which a block has to be fetched first. */
const MISSING = Symbol('a block is missing');

/** The page after the changes; null if it is the same; the numbers of blocks that are missing; or why it cannot be made. */
function updateOf(
  program: ViewProgram,
  changes: KeyedChanges,
  key: number,
  head: Head | undefined,
  blocks: ReadonlyMap<number, Uint8Array>,
): Update | null | number[] | SamewiseError {
  const missing: number[] = [];
  const block = (number: number) => {
    const found = blocks.get(number);
    if (found !== undefined) return found;
    missing.push(number);
    throw MISSING;
  };
  try {
    const reached = new Map<string, bigint>();
    for (const [partition, ofKey] of changes.positions)
      if (ofKey[key]! !== null) reached.set(partition, ofKey[key]!);
    const stored = { head: head?.bytes, block };
    return applyChanges(program.layout, stored, changesOfKey(changes, key), reached);
  } catch (error) {
    if (missing.length > 0) return missing;
    return located(error, program, changes.keys[key]!);
  }
}

/** As `updateOf`, with blocks that are fetched as they turn out to be needed; `again` if the page changed meanwhile. */
async function updateWithBlocks(
  online: OnlineStore,
  program: ViewProgram,
  changes: KeyedChanges,
  key: number,
  head: Head | undefined,
  first: readonly number[],
): Promise<Update | null | 'again' | SamewiseError> {
  const page = { view: program.id, key: changes.keys[key]! };
  const blocks = new Map<number, Uint8Array>();
  for (let missing = first; ; ) {
    const fetched = await online.blocks(page, missing);
    if (fetched.includes(undefined)) {
      const [now] = await online.heads([page]);
      if (now?.version !== head?.version) return 'again';
      const where = { view: program.view.name, key: printed(program, page.key) };
      return new SamewiseError('timeline/damaged-page', 'a block of the page is not there', {
        where,
      });
    }
    missing.forEach((number, i) => {
      blocks.set(number, fetched[i]!);
    });
    const update = updateOf(program, changes, key, head, blocks);
    if (!Array.isArray(update)) return update;
    missing = update;
  }
}

/** A coded error with the key it is about; any other is thrown. */
function located(error: unknown, program: ViewProgram, key: Uint8Array): SamewiseError {
  if (!(error instanceof SamewiseError)) throw error;
  const { entity, view } = program;
  return error.at({ view: view.name, entity: entity.name, key: printed(program, key) });
}

function printed({ entity, keyDtypes }: ViewProgram, key: Uint8Array): string {
  const names = entity.key.map(({ name }) => name);
  return printKey(names, decodeKey(key, keyDtypes), keyDtypes);
}
