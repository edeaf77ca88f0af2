/**
 * From history to pages: builds the timelines of whole keys and stores those that differ.
 *
 * Workers put events into pages before history has them, and a page tells how far it has come in each partition of the log. What
 * it has beyond the state of history that was read before the build is taken over into the new page. So a page never loses what
 * the stream gave it, and every checkpoint stays true; only what history no longer has and once had goes.
 *
 * A head that was written after the fence (see online/contract.ts), perhaps by a build that saw more of history, is left alone,
 * and so is one that changed under the write. Such keys are lost for now; `settle` reads their heads first and their history
 * after, until each holds what history says.
 */
import { SamewiseError } from '../base/errors.ts';
import type { ViewProgram } from '../model/index.ts';
import type { HistoryRequest, KeyedEvents, OfflineStore } from '../offline/contract.ts';
import type { HistoryLog, HistoryState } from '../offline/history_contract.ts';
import type { Head, OnlineStore, PageWrite } from '../online/contract.ts';
import {
  applyChanges,
  buildPages,
  type Changes,
  dumpStored,
  type Events,
  isEvicted,
  nextBlock,
  type Pages,
  readPositions,
  tailOf,
} from '../timeline/index.ts';
import { columnOf, gather } from '../types/column.ts';
import { applyToPages } from './apply.ts';
import { raiseBuilt } from './built.ts';
import { type Change, changesByKey } from './changes.ts';
import { nameOfKey } from './evaluate.ts';
import { mergePlaces, type RowPlace, readPlaces } from './row_index.ts';

/** Keys that one transaction stores. */
const KEYS_A_WRITE = 4_096;
/** Bytes after which a transaction is stored, however few keys it has. */
const BYTES_A_WRITE = 8 << 20;
/** Keys that `settle` asks history for at once. */
const KEYS_A_QUESTION = 2_000;
/** How often a key may be lost to other writers in a row; each time needs one of them in between. */
const MAX_ROUNDS = 100;

/** What was done, for jobs and people. Counts add up over shards. */
export interface Counts {
  /** Events in the pages. */
  rows: number;
  /** Keys with a page; one may hold nothing but what was retracted. */
  keys: number;
  written: number;
  unchanged: number;
  removed: number;
  /** Bytes of the pages that were written. */
  bytes: number;
  /** The newest arrival (see `newestOf`); null before any event. */
  newestUs: number | null;
}

export function noCounts(): Counts {
  return { rows: 0, keys: 0, written: 0, unchanged: 0, removed: 0, bytes: 0, newestUs: null };
}

export function addCounts(sum: Counts, more: Counts): Counts {
  const newest = [sum.newestUs, more.newestUs].filter((us) => us !== null);
  return {
    rows: sum.rows + more.rows,
    keys: sum.keys + more.keys,
    written: sum.written + more.written,
    unchanged: sum.unchanged + more.unchanged,
    removed: sum.removed + more.removed,
    bytes: sum.bytes + more.bytes,
    newestUs: newest.length === 0 ? null : Math.max(...newest),
  };
}

export interface BuildRequest {
  readonly online: OnlineStore;
  readonly offline: Pick<OfflineStore, 'history'>;
  /** Tells how far history is; what `offline` reads afterwards holds at least that. */
  readonly log: Pick<HistoryLog, 'state'>;
  readonly program: ViewProgram;
  /** What to read; `keys` must be null. */
  readonly history: HistoryRequest;
  /**
   * Brings back evicted keys, which other builds leave as they are: whoever reads them builds them. History is taken up to one
   * state of the log, and the pages say that they have come so far, for their positions are to tell all that is in them.
   */
  readonly evicted?: boolean;
  /** The view had no pages when the run began: heads need not be looked for, only what others write meanwhile is met. */
  readonly empty?: boolean;
  /** Called with the counts so far after each transaction. */
  readonly onCounts?: (counts: Counts) => void;
  /** Lets others have a turn after each transaction: an embedded store takes none, and without one no signal is ever seen. */
  readonly turn?: () => Promise<void>;
}

/** Brings the pages of all keys that `history` gives up to date. */
export async function buildKeys(request: BuildRequest): Promise<Counts> {
  const builder = new PageBuilder(request);
  const fence = await request.online.fence();
  await builder.readState();
  for await (const batch of request.offline.history(request.history)) {
    await builder.store(batch, async (keys) => {
      const heads = request.empty ? [] : await request.online.heads(builder.pageKeys(keys));
      return { heads, replaceable: (head) => head.version <= fence };
    });
    if (request.empty) continue;
    // These may have a page that is not to be. Most have none, and history is not asked for them again.
    const pageless = batch.keys.filter((_, i) => !hasPage(request.program, batch, i));
    const heads = await request.online.heads(builder.pageKeys(pageless));
    builder.lost.push(...pageless.filter((_, i) => heads[i] !== undefined));
  }
  await builder.settle();
  return builder.counts;
}

/** Whether key `i` of the batch has a page: it has events, or what was retracted of it must not come back. */
export function hasPage(
  { source }: ViewProgram,
  { starts, tombstones }: KeyedEvents,
  i: number,
): boolean {
  // What was taken away of a mutable source is in the row index.
  return starts[i] !== starts[i + 1] || (!source.mutable && tombstones.has(i));
}

/** Brings the pages of just these keys up to date; those that history does not have are removed. */
export async function settleKeys(
  request: BuildRequest,
  keys: readonly Uint8Array[],
): Promise<Counts> {
  const builder = new PageBuilder(request);
  builder.lost.push(...keys);
  await builder.settle();
  return builder.counts;
}

/** The heads of keys in their order, and which of them this history may replace. */
type Found = {
  readonly heads: readonly (Head | undefined)[];
  readonly replaceable: (head: Head) => boolean;
};

class PageBuilder {
  readonly counts = noCounts();
  lost: Uint8Array[] = [];
  readonly #request: BuildRequest;
  readonly #id: string;
  /** Of the source's stream, read before the history that pages are built from. */
  #state: HistoryState | null = null;

  constructor(request: BuildRequest) {
    this.#request = request;
    this.#id = request.program.id;
  }

  async readState(): Promise<void> {
    this.#state = await this.#request.log.state(this.#request.program.source.name);
  }

  pageKeys(keys: readonly Uint8Array[]) {
    return keys.map((key) => ({ view: this.#id, key }));
  }

  /** Stores the pages of a batch's keys, in transactions of bounded size. */
  async store(
    batch: KeyedEvents,
    find: (keys: readonly Uint8Array[]) => Promise<Found>,
  ): Promise<void> {
    const { program } = this.#request;
    this.#seeNewest(batch);
    if (program.source.mutable) await this.#sayBuilt(batch);
    for (let from = 0; from < batch.keys.length; from += KEYS_A_WRITE) {
      const keys = batch.keys.slice(from, from + KEYS_A_WRITE);
      const { heads, replaceable } = await find(keys);
      let writes: PageWrite[] = [];
      let bytes = 0;
      for (let i = 0; i < keys.length; i++) {
        const write = await this.#writeOf(batch, from + i, keys[i]!, heads[i], replaceable);
        if (write === null) continue;
        writes.push(write);
        bytes += sizeOf(write);
        if (bytes < BYTES_A_WRITE) continue;
        await this.#apply(writes);
        writes = [];
        bytes = 0;
      }
      await this.#apply(writes);
      if (program.source.mutable) await this.#placeRows(batch, from, from + keys.length);
      this.#request.onCounts?.(this.counts);
      await this.#request.turn?.();
      this.#request.history.signal?.throwIfAborted();
    }
  }

  /** The write that makes a key's page what history says; null if it is so already, or the key is lost for now. */
  async #writeOf(
    batch: KeyedEvents,
    row: number,
    key: Uint8Array,
    head: Head | undefined,
    replaceable: (head: Head) => boolean,
  ): Promise<PageWrite | null> {
    const { program } = this.#request;
    if (!hasPage(program, batch, row)) return null;
    const lo = batch.starts[row]!;
    const hi = batch.starts[row + 1]!;
    const tombstones = program.source.mutable ? [] : batch.tombstones.get(row);
    this.counts.keys++;
    this.counts.rows += hi - lo;
    if (head !== undefined && isEvicted(head.bytes) && !this.#request.evicted) {
      this.counts.unchanged++;
      return null;
    }
    const next = head === undefined ? null : nextOf(program, head);
    const positions = next === null ? undefined : this.#positionsOf(head!);
    const build = (firstBlock: number) =>
      buildPages(
        program.layout,
        batch.events,
        lo,
        hi,
        undefined,
        firstBlock,
        tombstones,
        positions,
      );
    let pages = build(1);
    if (head === undefined) return this.#write(key, 0, pages, []);
    // Blocks that were built in bulk have the numbers just before the next one.
    if (next !== null && next !== 1 + pages.blocks.size) pages = build(next - pages.blocks.size);
    if (next !== null && (await this.#isStored(key, head, pages))) {
      this.counts.unchanged++;
      return null;
    }
    if (!replaceable(head)) {
      this.#forget(lo, hi, key);
      return null;
    }
    if (next === null) {
      // What cannot be read cannot tell its blocks: they go with the key, which is then made anew.
      const gone = await this.#remove(key, head.version);
      if (gone) return this.#write(key, 0, pages, []);
      this.#forget(lo, hi, key);
      return null;
    }
    const old = Array.from({ length: next - 1 }, (_, i) => i + 1);
    const rebuilt = pages.blocks.size === 0 ? pages : build(next);
    const whole = await this.#withNewer(key, head, rebuilt);
    if (whole === null) {
      this.#forget(lo, hi, key);
      return null;
    }
    return this.#write(key, head.version, whole, old);
  }

  /** The positions of a page that is built in place of a head. */
  #positionsOf({ bytes }: Head): ReadonlyMap<string, bigint> {
    const positions = readPositions(this.#request.program.layout, bytes);
    if (!this.#request.evicted) return positions;
    const reached = new Map(positions);
    for (const [partition, { position }] of this.#state!.partitions)
      if (position > (positions.get(partition) ?? -1n)) reached.set(partition, position);
    return reached;
  }

  /** The pages with what the stored ones have beyond history; null if the key is lost for now. */
  async #withNewer(key: Uint8Array, head: Head, pages: Pages): Promise<Pages | null> {
    const { online, program } = this.#request;
    const { layout } = program;
    const boundUs = boundOf(readPositions(layout, head.bytes), this.#state!);
    if (boundUs === null) return pages;
    const page = { view: this.#id, key };
    const numbers = Array.from({ length: nextOf(program, head)! - 1 }, (_, i) => i + 1);
    const blocks = await online.blocks(page, numbers);
    const [now] = await online.heads([page]);
    if (now?.version !== head.version) return null;
    const events = dumpStored(layout, { head: head.bytes, block: (n) => blocks[n - 1] });
    const rows = await this.#standing(events, rowsAfter(boundUs, events));
    const gone = tailOf(layout, head.bytes).tombstones.filter((grave) => grave.arrivalUs > boundUs);
    const newer = changesOf(events, rows, gone);
    const stored = { head: pages.head, block: (n: number) => pages.blocks.get(n) };
    const update = applyChanges(layout, stored, newer);
    if (update === null) return pages;
    const merged = new Map([...pages.blocks, ...update.putBlocks]);
    for (const number of update.dropBlocks) merged.delete(number);
    return { head: update.head, blocks: merged };
  }

  /** Of rows in the page of a table under change, those that the row index does not know elsewhere by now. */
  async #standing(events: Events, rows: readonly number[]): Promise<readonly number[]> {
    const { online, program } = this.#request;
    if (!program.source.mutable || rows.length === 0) return rows;
    const places = await readPlaces(
      online,
      program,
      rows.map((row) => events.id[row]!),
    );
    const arrivals = events.arrivalUs ?? events.timeUs;
    return rows.filter((row, i) => !(places[i] && places[i].arrivalUs > arrivals[row]!));
  }

  /** The rows of keys from…to into the row index; those that the stream has moved on meanwhile go out of these pages again. */
  async #placeRows(batch: KeyedEvents, from: number, to: number): Promise<void> {
    const { online, program } = this.#request;
    const [ids, places] = placesOf(batch, from, to);
    const overtaken = await mergePlaces(online, program, ids, places);
    if (overtaken.length > 0) {
      const now = await readPlaces(
        online,
        program,
        overtaken.map((i) => ids[i]!),
      );
      // When they left is not to be seen in these pages.
      const lefts = now.map((place) => place?.arrivalUs ?? Number.NEGATIVE_INFINITY);
      await raiseBuilt(online, program, Math.max(...lefts));
    }
    const out = overtaken.flatMap((i): Change[] => {
      const { key, timeUs, arrivalUs } = places[i]!;
      return key === null ? [] : [{ key, timeUs, arrivalUs, id: ids[i]!, row: -1, position: 0n }];
    });
    if (out.length === 0) return;
    const { columns } = noEvents(program.layout);
    await applyToPages(online, program, changesByKey(null, columns, out));
  }

  /** Of pages that are to be written: how new the history is that they are made from. */
  async #sayBuilt({ events }: Pick<KeyedEvents, 'events'>): Promise<void> {
    const { online, log, program } = this.#request;
    const { partitions } = await log.state(program.source.name);
    const arrivals = events.arrivalUs ?? events.timeUs;
    let untilUs = Number.NEGATIVE_INFINITY;
    for (const { arrivalUs } of partitions.values()) untilUs = Math.max(untilUs, arrivalUs);
    for (let row = 0; row < events.length; row++) untilUs = Math.max(untilUs, arrivals[row]!);
    if (untilUs > Number.NEGATIVE_INFINITY) await raiseBuilt(online, program, untilUs);
  }

  /** A lost key is counted when it is settled. */
  #forget(lo: number, hi: number, key: Uint8Array): void {
    this.counts.keys--;
    this.counts.rows -= hi - lo;
    this.lost.push(key);
  }

  #write(key: Uint8Array, expect: number, pages: Pages, dropBlocks: readonly number[]): PageWrite {
    return { view: this.#id, key, expect, head: pages.head, putBlocks: pages.blocks, dropBlocks };
  }

  async #remove(key: Uint8Array, expect: number): Promise<boolean> {
    const nothing = { head: null, putBlocks: new Map(), dropBlocks: [] };
    const [gone] = await this.#request.online.compareAndSet([
      { view: this.#id, key, expect, ...nothing },
    ]);
    return gone!;
  }

  async #isStored(key: Uint8Array, head: Head, pages: Pages): Promise<boolean> {
    if (!sameBytes(head.bytes, pages.head)) return false;
    if (pages.blocks.size === 0) return true;
    const blocks = await this.#request.online.blocks({ view: this.#id, key }, [
      ...pages.blocks.keys(),
    ]);
    return [...pages.blocks.values()].every((block, i) => {
      const stored = blocks[i];
      return stored !== undefined && sameBytes(stored, block);
    });
  }

  async #apply(writes: readonly PageWrite[]): Promise<void> {
    if (writes.length === 0) return;
    const applied = await this.#request.online.compareAndSet(writes);
    for (const [i, write] of writes.entries()) {
      if (applied[i]) {
        this.counts.written++;
        this.counts.bytes += sizeOf(write);
      } else this.lost.push(write.key);
    }
  }

  /** Until no key is lost: heads first, then their history, which so holds all that the heads were made from. */
  async settle(): Promise<void> {
    const { online, offline, history } = this.#request;
    for (let round = 0; this.lost.length > 0; round++) {
      if (round === MAX_ROUNDS) {
        throw new SamewiseError(
          'app/contended',
          `${this.lost.length} keys changed under every one of ${MAX_ROUNDS} attempts to write them`,
          {
            where: { view: history.view },
            hint: 'stop other writers of the view, or run it later',
          },
        );
      }
      const lost = this.lost;
      this.lost = [];
      for (let from = 0; from < lost.length; from += KEYS_A_QUESTION) {
        const keys = lost.slice(from, from + KEYS_A_QUESTION);
        const found = await online.heads(this.pageKeys(keys));
        await this.readState();
        const heads = new Map(keys.map((key, i) => [nameOfKey(key), found[i]]));
        const upTo = this.#request.evicted ? positionsOf(this.#state!) : history.upTo;
        const request = { ...history, shard: null, changedSinceUs: null, keys, upTo };
        const seen = new Set<string>();
        for await (const batch of offline.history(request)) {
          batch.keys.forEach((key, i) => {
            if (hasPage(this.#request.program, batch, i)) seen.add(nameOfKey(key));
          });
          await this.store(batch, async (some) => ({
            heads: some.map((key) => heads.get(nameOfKey(key))),
            replaceable: () => true,
          }));
        }
        for (const key of keys) {
          const head = heads.get(nameOfKey(key));
          if (seen.has(nameOfKey(key)) || head === undefined) continue;
          await this.#settleVanished(key, head);
        }
      }
    }
  }

  /** History has nothing of the key: its page goes, or keeps what history cannot have yet. */
  async #settleVanished(key: Uint8Array, head: Head): Promise<void> {
    const { layout, source } = this.#request.program;
    const next = nextOf(this.#request.program, head);
    if (source.mutable) await this.#sayBuilt({ events: noEvents(layout) });
    const positions = next === null ? null : readPositions(layout, head.bytes);
    if (positions === null || boundOf(positions, this.#state!) === null) {
      if (await this.#remove(key, head.version)) this.counts.removed++;
      else this.lost.push(key);
      return;
    }
    const nothing = buildPages(layout, noEvents(layout), 0, 0, undefined, next!, [], positions);
    const whole = await this.#withNewer(key, head, nothing);
    if (whole === null) {
      this.lost.push(key);
      return;
    }
    const old = Array.from({ length: next! - 1 }, (_, i) => i + 1);
    await this.#apply([this.#write(key, head.version, whole, old)]);
  }

  /** See `newestOf`. */
  #seeNewest({ events }: KeyedEvents): void {
    const { timeUs, arrivalUs, length } = events;
    const stamped = this.#request.program.source.arrivalTime !== null;
    let newest = this.counts.newestUs ?? Number.NEGATIVE_INFINITY;
    for (let i = 0; i < length; i++) {
      const arrival = arrivalUs === null ? timeUs[i]! : arrivalUs[i]!;
      // Without arrival times in the data only pushes have one that is not the event time, and they are applied already.
      if (arrival > newest && (stamped || arrival === timeUs[i])) newest = arrival;
    }
    if (newest !== Number.NEGATIVE_INFINITY) this.counts.newestUs = newest;
  }
}

/**
 * A page that has come to `positions` may hold events that arrived after this and that history has not got; null: it holds none,
 * for history has come as far in every partition.
 */
export function boundOf(
  positions: ReadonlyMap<string, bigint>,
  { partitions }: HistoryState,
): number | null {
  let boundUs: number | null = null;
  for (const [partition, position] of positions) {
    const known = partitions.get(partition);
    if (known !== undefined && known.position >= position) continue;
    boundUs = Math.min(
      boundUs ?? Number.POSITIVE_INFINITY,
      known?.arrivalUs ?? Number.NEGATIVE_INFINITY,
    );
  }
  return boundUs;
}

function positionsOf({ partitions }: HistoryState): Map<string, bigint> {
  return new Map([...partitions].map(([partition, { position }]) => [partition, position]));
}

/** The rows that arrived after `boundUs`. */
function rowsAfter(boundUs: number, events: Events): number[] {
  const arrivals = events.arrivalUs ?? events.timeUs;
  const rows: number[] = [];
  for (let row = 0; row < events.length; row++) if (arrivals[row]! > boundUs) rows.push(row);
  return rows;
}

/** Some rows, and what was retracted, as changes. */
function changesOf(
  events: Events,
  rows: readonly number[],
  gone: readonly { timeUs: number; id: bigint; arrivalUs: number }[],
): Changes {
  const arrivals = events.arrivalUs ?? events.timeUs;
  const from = [...rows, ...gone.map(() => -1)];
  return {
    length: from.length,
    timeUs: Float64Array.from([
      ...rows.map((row) => events.timeUs[row]!),
      ...gone.map(({ timeUs }) => timeUs),
    ]),
    arrivalUs: Float64Array.from([
      ...rows.map((row) => arrivals[row]!),
      ...gone.map(({ arrivalUs }) => arrivalUs),
    ]),
    id: BigInt64Array.from([...rows.map((row) => events.id[row]!), ...gone.map(({ id }) => id)]),
    columns: events.columns.map((column) => gather(column, from)),
    retract: gone.length === 0 ? null : Uint8Array.from(from, (row) => (row < 0 ? 1 : 0)),
  };
}

function noEvents({ columns }: ViewProgram['layout']): Events {
  return {
    length: 0,
    timeUs: new Float64Array(0),
    arrivalUs: null,
    id: new BigInt64Array(0),
    columns: columns.map((dtype) => columnOf(dtype, [])),
  };
}

/** Ids and places of the rows of keys from…to, and of what was taken away of them, for the row index. */
function placesOf(
  { keys, starts, events, tombstones }: KeyedEvents,
  from: number,
  to: number,
): [ids: bigint[], places: RowPlace[]] {
  const ids: bigint[] = [];
  const places: RowPlace[] = [];
  for (let i = from; i < to; i++) {
    for (let row = starts[i]!; row < starts[i + 1]!; row++) {
      const timeUs = events.timeUs[row]!;
      ids.push(events.id[row]!);
      places.push({ key: keys[i]!, timeUs, arrivalUs: events.arrivalUs?.[row] ?? timeUs });
    }
    for (const { id, timeUs, arrivalUs } of tombstones.get(i) ?? []) {
      ids.push(id);
      places.push({ key: null, timeUs, arrivalUs });
    }
  }
  return [ids, places];
}

/** The next block number of a stored head; null if the head cannot be read. */
function nextOf({ layout }: ViewProgram, head: Head): number | null {
  try {
    return nextBlock(layout, head.bytes);
  } catch (error) {
    if (error instanceof SamewiseError) return null;
    throw error;
  }
}

function sizeOf({ head, putBlocks }: PageWrite): number {
  let bytes = head?.length ?? 0;
  for (const block of putBlocks.values()) bytes += block.length;
  return bytes;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
