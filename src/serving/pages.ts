/** From entity keys to values: heads in one round trip, the blocks that a window's edge needs, the timelines read at T. */
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import type { Status, ViewProgram } from '../model/index.ts';
import type { Head, MaybePromise, OnlineStore, PageKey } from '../online/contract.ts';
import {
  type BlockSource,
  isEvicted,
  type Reading,
  readPositions,
  readTimeline,
} from '../timeline/index.ts';
import { decodeKey, printKey } from '../types/key.ts';
import { KeptHead } from './kept_head.ts';

/** One entity's page of one view, to be read at one time. */
export interface PageRead extends PageKey {
  readonly program: ViewProgram;
  /** Positions of the wanted features in the view. */
  readonly reads: readonly number[];
  /** Events strictly before this count. */
  readonly readUs: InstantUs;
  /** Whether the answer tells the positions. */
  readonly tells: boolean;
}

/** What a page says: values and statuses in the order of `reads`, and when the newest event before T happened. */
export interface PageAnswer extends Omit<Reading, 'missing' | 'statuses'> {
  readonly statuses: readonly Status[];
  /** Whether every value is PRESENT, as most are. */
  readonly whole: boolean;
  /** It did not come in time: there are no values, and nothing is known. */
  readonly timedOut: boolean;
  /** Where the page is; null for an entity whose key is not known. */
  readonly page: PageKey | null;
  /** Version of the head that it was read from, 0 if there was none. */
  readonly version: number;
  /** Of each partition of the source's log, the highest position that is in the page; null: there is no page, or it was not asked. */
  readonly positions: ReadonlyMap<string, bigint> | null;
}

/** Counts for the metrics. */
export interface PageCounter {
  pages(count: number): void;
  bytes(count: number): void;
}

/** How often a page may change under a reader before it gives up; each time needs a writer in between. */
const MAX_ATTEMPTS = 16;

/**
 * Brings the page of an evicted key back into the online store. Resolves when it is there, or when there is nothing of the key any
 * more; many keys may be asked for at once. See decision 20.
 */
export type BringBack = (program: ViewProgram, key: Uint8Array) => Promise<void>;

/** Where pages come from: the store, or what keeps some of it. */
export interface PageSource extends Pick<OnlineStore, 'versions' | 'blocks'> {
  /** As `OnlineStore.heads`. */
  heads(wanted: readonly PageRead[]): MaybePromise<(Head | undefined)[]>;
  /** Fetch these anew when they are read next. */
  forget?(keys: readonly PageKey[]): void;
  /** Takes blocks that were read with a head. */
  keep?(key: PageKey, head: Head, blocks: ReadonlyMap<number, Uint8Array>): void;
}

/** Where pages are read from, and what brings back those that are not in it. */
export interface PageStore {
  readonly online: PageSource;
  readonly bringBack: BringBack;
}

/** Takes the answer of the page `wanted[i]`. */
export type PutAnswer = (i: number, answer: PageAnswer) => void;

/**
 * Reads pages and hands each answer to `put` when it is there. One round trip for all heads; then, only where a window's edge lies inside sealed
 * blocks, one for each such page. Answers at once where the store does. Throws or rejects with the store's `online/…` errors, `timeline/damaged-page` and
 * `timeline/beyond-retention` with view and key, and `serving/unsettled-page`.
 */
export function readPages(
  store: PageStore,
  wanted: readonly PageRead[],
  counter: PageCounter,
  put: PutAnswer,
): MaybePromise<void> {
  const heads = store.online.heads(wanted);
  return heads instanceof Promise
    ? heads.then((found) => readHeads(store, wanted, found, counter, put))
    : readHeads(store, wanted, heads, counter, put);
}

function readHeads(
  store: PageStore,
  wanted: readonly PageRead[],
  heads: readonly (Head | undefined)[],
  counter: PageCounter,
  put: PutAnswer,
): MaybePromise<void> {
  counter.pages(wanted.length);
  let pending: Promise<void>[] | null = null;
  let bytes = 0;
  const wait = (i: number, coming: Promise<PageAnswer>) => {
    const done = coming.then((whole) => {
      put(i, whole);
    });
    // A page behind it that cannot be read ends the reading, and then nobody else hears of its failure.
    done.catch(() => {});
    pending ??= [];
    pending.push(done);
  };
  for (let i = 0; i < wanted.length; i++) {
    const page = wanted[i]!;
    const head = heads[i];
    if (head !== undefined) {
      bytes += head.bytes.length;
      if (isEvicted(head.bytes)) {
        wait(i, readEvicted(store, page, counter));
        continue;
      }
    }
    const answer = read(page, head);
    if (answer.missing.length === 0) put(i, pageAnswer(page, head, answer));
    else wait(i, readBlocks(store, page, head, answer.missing, counter));
  }
  counter.bytes(bytes);
  if (pending !== null) return Promise.all<void>(pending).then(() => {});
}

/** Fetches what is missing until the timeline can be read; a block that is gone means that the head has changed. */
async function readBlocks(
  store: PageStore,
  page: PageRead,
  firstHead: Head | undefined,
  firstMissing: readonly number[],
  counter: PageCounter,
): Promise<PageAnswer> {
  const { online } = store;
  let head = firstHead;
  let missing = firstMissing;
  let blocks = new Map<number, Uint8Array>();
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const fetched = await online.blocks(page, missing);
    if (fetched.includes(undefined)) {
      online.forget?.([page]);
      const [newer] = await online.heads([page]);
      if (newer !== undefined && newer.version === head?.version) {
        throw new SamewiseError('timeline/damaged-page', 'the head names a block that is gone', {
          where: whereOf(page),
        });
      }
      if (newer !== undefined && isEvicted(newer.bytes)) return readEvicted(store, page, counter);
      head = newer;
      blocks = new Map();
    } else {
      missing.forEach((number, j) => {
        blocks.set(number, fetched[j]!);
      });
      counter.bytes(fetched.reduce((sum, block) => sum + block!.length, 0));
    }
    const answer = read(page, head, (number) => blocks.get(number));
    if (answer.missing.length === 0) {
      if (head !== undefined) online.keep?.(page, head, blocks);
      return pageAnswer(page, head, answer);
    }
    missing = answer.missing;
  }
  throw unsettled(page);
}

function unsettled(page: PageRead): SamewiseError {
  return new SamewiseError(
    'serving/unsettled-page',
    'the page changed under every attempt to read it',
    { where: whereOf(page), hint: 'try again' },
  );
}

/** Has an evicted page brought back first. One that nobody reads for long may be gone again by then. */
async function readEvicted(
  store: PageStore,
  page: PageRead,
  counter: PageCounter,
): Promise<PageAnswer> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    await store.bringBack(page.program, page.key);
    store.online.forget?.([page]);
    const [head] = await store.online.heads([page]);
    if (head !== undefined && isEvicted(head.bytes)) continue;
    const answer = read(page, head);
    return answer.missing.length === 0
      ? pageAnswer(page, head, answer)
      : readBlocks(store, page, head, answer.missing, counter);
  }
  throw unsettled(page);
}

/** What a read of an entity without any page says. */
export function unknownEntity(
  program: ViewProgram,
  reads: readonly number[],
  readUs: InstantUs,
): PageAnswer {
  const answer = readTimeline(program.layout, undefined, noBlock, readUs, reads);
  return pageAnswer(null, undefined, answer);
}

/** What is said of a page that did not come in time. */
export function timedOut(features: number): PageAnswer {
  return {
    page: null,
    version: 0,
    positions: null,
    values: new Array(features).fill(null),
    statuses: new Array(features).fill('TIMED_OUT'),
    eventTimeUs: null,
    steadyUntilUs: Number.NEGATIVE_INFINITY,
    whole: false,
    timedOut: true,
  };
}

function pageAnswer(page: PageRead | null, head: Head | undefined, answer: Reading): PageAnswer {
  const { values, statuses, eventTimeUs, steadyUntilUs } = answer;
  const version = head?.version ?? 0;
  let whole = true;
  for (let i = 0; i < statuses.length && whole; i++) whole = statuses[i] === 'PRESENT';
  const told = page?.tells === true && head !== undefined;
  const positions = told ? readPositions(page.program.layout, head.bytes) : null;
  return {
    page,
    version,
    positions,
    values,
    statuses,
    eventTimeUs,
    steadyUntilUs,
    whole,
    timedOut: false,
  };
}

function noBlock(): undefined {
  return undefined;
}

/** `fetched`: blocks that are not kept with the head. */
function read(page: PageRead, head: Head | undefined, fetched: BlockSource = noBlock): Reading {
  const { program, readUs, reads } = page;
  try {
    if (!(head instanceof KeptHead))
      return readTimeline(program.layout, head?.bytes, fetched, readUs, reads);
    const block: BlockSource = (number, checksum) =>
      head.block(number, checksum) ?? fetched(number, checksum);
    return readTimeline(program.layout, head.bytes, block, readUs, reads, head.opened);
  } catch (error) {
    throw error instanceof SamewiseError ? error.at(whereOf(page)) : error;
  }
}

function whereOf({ program, key }: PageRead): { view: string; entity: string; key: string } {
  const { entity, keyDtypes, view } = program;
  const names = entity.key.map(({ name }) => name);
  return {
    view: view.name,
    entity: entity.name,
    key: printKey(names, decodeKey(key, keyDtypes), keyDtypes),
  };
}
