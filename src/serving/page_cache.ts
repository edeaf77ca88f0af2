/**
 * Pages that are kept in this process, opened: what was gone over and decoded of them for one read is there for the next. Bounded in bytes;
 * the one that was used last stays longest. Who asks for a head that is on its way to another waits for that one.
 *
 * A store that tells versions is asked for the version before a page of it is answered from, so that is never out of date, and only pages
 * that are some work to open are kept. Of a store that is a round trip away every page is, an absent one as well, for a part of the time
 * for which its view promises to be fresh.
 */
import type { Clock } from '../base/clock.ts';
import { US_PER_MS } from '../base/time.ts';
import type { ViewProgram } from '../model/index.ts';
import type { Head, MaybePromise, OnlineStore, PageKey } from '../online/contract.ts';
import { OpenedPages } from '../timeline/index.ts';
import { compareBytes } from '../types/scalar.ts';
import { KeptHead } from './kept_head.ts';
import type { PageRead, PageSource } from './pages.ts';

/** What is kept at most, in bytes. */
const MAX_BYTES = 64 << 20;
/** What an entry takes beside its page, about. */
const ENTRY_BYTES = 300;
/** What a page takes with all of its columns decoded, about, in its own bytes: short texts take most. */
const DECODED = 4;
/** Below so many bytes opening a page is less work than to find it here and to ask for its version. */
const MIN_BYTES = 1_024;
/** Pages of near stores of which is known that they were read once: a power of two, about as many as are kept. */
const READ_ONCE = 1 << 13;
/** No version of any head. */
const UNKNOWN = -1;

/** What the cache has done so far; for metrics. */
export interface PageCacheCounts {
  /** Heads that were kept; of these, keys that are known to have none. */
  hits: number;
  absentHits: number;
  /** Heads that were fetched, or waited for because somebody else was fetching them; of near stores, those that are worth keeping. */
  misses: number;
  joined: number;
  evicted: number;
  bytes: number;
  /** Age of the oldest head that was answered with where the version was not asked for, in milliseconds. */
  oldestMs: number;
}

interface Kept extends PageKey {
  /** Undefined: the store has none. */
  head: KeptHead | undefined;
  /** Reading of the monotonic clock before it was fetched. */
  sinceMs: number;
  /** Until when it is answered with; ∞: as long as the store says that the version is this one. */
  untilMs: number;
  size: number;
  /** Since it was looked at as the next to go. */
  used: boolean;
}

interface UnderWay extends PageKey {
  readonly head: Promise<Head | undefined>;
}

/** Reads like the store behind it. */
export class PageCache implements PageSource {
  readonly counts: PageCacheCounts = {
    hits: 0,
    absentHits: 0,
    misses: 0,
    joined: 0,
    evicted: 0,
    bytes: 0,
    oldestMs: 0,
  };
  readonly #online: OnlineStore;
  readonly #clock: Clock;
  readonly #maxBytes: number;
  readonly #opened = new OpenedPages();
  /** By hash: of two keys of one hash the later one is kept. In the order in which they are looked at when room is needed. */
  readonly #kept = new Map<number, Kept>();
  readonly #underWay = new Map<number, UnderWay>();
  readonly #readOnce = new Int32Array(READ_ONCE);

  constructor(online: OnlineStore, clock: Clock, maxBytes = MAX_BYTES) {
    this.#online = online;
    this.#clock = clock;
    this.#maxBytes = maxBytes;
  }

  /** As `OnlineStore.heads`; at once where the store answers at once or all are kept. */
  heads(wanted: readonly PageRead[]): MaybePromise<(Head | undefined)[]> {
    return this.#online.versions === undefined ? this.#far(wanted) : this.#near(wanted);
  }

  /** What the store says; of one that is away the versions of the heads that are kept, and of every other one a version that no head has. */
  versions(keys: readonly PageKey[]): number[] {
    if (this.#online.versions !== undefined) return this.#online.versions(keys);
    const nowMs = this.#clock.monotonicMs();
    return keys.map((key) => {
      const kept = this.#find(key, hashOf(key));
      if (kept === undefined || nowMs >= kept.untilMs) return UNKNOWN;
      this.#hit(kept, nowMs);
      return kept.head?.version ?? 0;
    });
  }

  blocks(key: PageKey, blocks: readonly number[]): Promise<(Uint8Array | undefined)[]> {
    return this.#online.blocks(key, blocks);
  }

  /** Takes blocks that were read with a head, if that still is kept. */
  keep(key: PageKey, head: Head, blocks: ReadonlyMap<number, Uint8Array>): void {
    const kept = this.#find(key, hashOf(key));
    if (kept === undefined || kept.head !== head) return;
    kept.head.put(blocks);
    this.#weigh(kept);
  }

  /** Has pages fetched anew, for instance because they have just been written; also those that are under way. */
  forget(keys: readonly PageKey[]): void {
    for (const key of keys) {
      const hash = hashOf(key);
      const kept = this.#find(key, hash);
      // Its blocks may be those of the next version as well.
      if (kept !== undefined) kept.untilMs = Number.NEGATIVE_INFINITY;
      this.#underWay.delete(hash);
    }
  }

  /** Of a store that tells versions. */
  #near(wanted: readonly PageRead[]): MaybePromise<(Head | undefined)[]> {
    const out = new Array<Head | undefined>(wanted.length);
    let missing: readonly PageRead[] = wanted;
    if (this.#kept.size > 0) {
      const kept = wanted.map((page) => this.#find(page, hashOf(page)));
      const known = kept.filter((each) => each !== undefined);
      const versions = known.length === 0 ? [] : this.#online.versions!(known);
      let at = 0;
      missing = wanted.filter((_, i) => {
        const each = kept[i];
        if (each === undefined || versions[at++] !== each.head!.version) return true;
        this.#hit(each, each.sinceMs);
        out[i] = each.head;
        return false;
      });
      if (missing.length === 0) return out;
    }
    const fill = (heads: readonly (Head | undefined)[]) => {
      let at = 0;
      for (let i = 0; i < wanted.length; i++)
        if (out[i] === undefined) out[i] = this.#admit(wanted[i]!, heads[at++]);
      return out;
    };
    const heads = this.#online.heads(missing);
    return heads instanceof Promise ? heads.then(fill) : fill(heads);
  }

  /** A head of a near store, to be kept if it is worth it and was asked for before. */
  #admit(page: PageRead, head: Head | undefined): Head | undefined {
    if (head === undefined || head.bytes.length < MIN_BYTES) return head;
    this.counts.misses++;
    const hash = hashOf(page);
    if (this.#find(page, hash) === undefined) {
      const slot = hash & (READ_ONCE - 1);
      if (this.#readOnce[slot] !== hash) {
        this.#readOnce[slot] = hash;
        return head;
      }
    }
    return this.#keep(page, hash, head, 0, Number.POSITIVE_INFINITY);
  }

  /** Of a store that is a round trip away. */
  #far(wanted: readonly PageRead[]): MaybePromise<(Head | undefined)[]> {
    const nowMs = this.#clock.monotonicMs();
    const out = new Array<Head | undefined>(wanted.length);
    const waits: Promise<void>[] = [];
    const missing: number[] = [];
    for (let i = 0; i < wanted.length; i++) {
      const page = wanted[i]!;
      // Who reads what he has just written must not be answered with what was on its way before.
      if (isStrong(page.program)) {
        missing.push(i);
        continue;
      }
      const hash = hashOf(page);
      const kept = this.#find(page, hash);
      if (kept !== undefined && nowMs < kept.untilMs) {
        this.#hit(kept, nowMs);
        out[i] = kept.head;
        continue;
      }
      const coming = this.#underWay.get(hash);
      if (coming === undefined || !isSame(coming, page)) missing.push(i);
      else {
        this.counts.joined++;
        waits.push(
          coming.head.then((head) => {
            out[i] = head;
          }),
        );
      }
    }
    if (missing.length > 0) waits.push(this.#fetch(wanted, missing, nowMs, out));
    return waits.length === 0 ? out : Promise.all(waits).then(() => out);
  }

  /** Fetches `wanted` at the places `missing` into `out`, in one round trip. */
  async #fetch(
    wanted: readonly PageRead[],
    missing: readonly number[],
    nowMs: number,
    out: (Head | undefined)[],
  ): Promise<void> {
    this.counts.misses += missing.length;
    const fetched = Promise.resolve(this.#online.heads(missing.map((i) => wanted[i]!)));
    const hashes = missing.map((i) => hashOf(wanted[i]!));
    const coming = missing.map((i, at) => {
      const { program, view, key } = wanted[i]!;
      if (isStrong(program)) return null;
      const head = fetched.then((heads) => heads[at]);
      // Whoever waits for it sees that it failed, and so does this.
      head.catch(() => {});
      const each = { view, key, head };
      this.#underWay.set(hashes[at]!, each);
      return each;
    });
    const isUnderWay = (at: number) =>
      coming[at] !== null && this.#underWay.get(hashes[at]!) === coming[at];
    try {
      const heads = await fetched;
      missing.forEach((i, at) => {
        const page = wanted[i]!;
        const boundMs = boundMsOf(page.program);
        // What has been written since is no longer under way here.
        out[i] =
          isUnderWay(at) && boundMs > 0
            ? this.#keep(page, hashes[at]!, heads[at], nowMs, nowMs + boundMs)
            : heads[at];
      });
    } finally {
      hashes.forEach((hash, at) => {
        if (isUnderWay(at)) this.#underWay.delete(hash);
      });
    }
  }

  #find(page: PageKey, hash: number): Kept | undefined {
    const kept = this.#kept.get(hash);
    return kept !== undefined && isSame(kept, page) ? kept : undefined;
  }

  #hit(kept: Kept, nowMs: number): void {
    kept.used = true;
    this.counts.hits++;
    if (kept.head === undefined) this.counts.absentHits++;
    this.counts.oldestMs = Math.max(this.counts.oldestMs, nowMs - kept.sinceMs);
  }

  /** The head as it is kept from now on. */
  #keep(
    page: PageRead,
    hash: number,
    head: Head | undefined,
    sinceMs: number,
    untilMs: number,
  ): KeptHead | undefined {
    const before = this.#find(page, hash);
    const same = head !== undefined && before?.head?.version === head.version;
    const kept: Kept = before ?? {
      view: page.view,
      key: page.key,
      head: undefined,
      sinceMs,
      untilMs,
      size: 0,
      used: false,
    };
    if (!same)
      kept.head = head === undefined ? undefined : new KeptHead(head, this.#opened, kept.head);
    kept.sinceMs = sinceMs;
    kept.untilMs = untilMs;
    if (before === undefined) {
      this.#remove(hash);
      this.#kept.set(hash, kept);
    }
    const { head: taken } = kept;
    this.#weigh(kept);
    return taken;
  }

  /** Counts what an entry takes by now, and makes room. */
  #weigh(kept: Kept): void {
    const size = ENTRY_BYTES + DECODED * (kept.head?.size ?? 0);
    this.counts.bytes += size - kept.size;
    kept.size = size;
    for (const [hash, next] of this.#kept) {
      if (this.counts.bytes <= this.#maxBytes) return;
      this.#remove(hash);
      if (next.used) {
        // It goes behind all others.
        next.used = false;
        this.#kept.set(hash, next);
        this.counts.bytes += next.size;
      } else this.counts.evicted++;
    }
  }

  #remove(hash: number): void {
    const kept = this.#kept.get(hash);
    if (kept === undefined) return;
    this.#kept.delete(hash);
    this.counts.bytes -= kept.size;
  }
}

function isSame(a: PageKey, b: PageKey): boolean {
  return a.view === b.view && compareBytes(a.key, b.key) === 0;
}

/** The view whose key was hashed last, and the hash that keys of it begin with: many of one view come one after the other. */
let lastView = '';
let lastSeed = 0;

/** FNV-1a. */
function hashOf({ view, key }: PageKey): number {
  if (view !== lastView) {
    lastSeed = 0x811c9dc5 | 0;
    for (let i = 0; i < view.length; i++)
      lastSeed = Math.imul(lastSeed ^ view.charCodeAt(i), 0x01000193);
    lastView = view;
  }
  let hash = lastSeed;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key[i]!, 0x01000193);
  return hash;
}

/** Whether a push into the view's source is acknowledged only when it can be read. */
function isStrong({ source }: ViewProgram): boolean {
  return source.stream.acknowledge === 'applied';
}

/**
 * How old a head of the view may be: half of the time that it promises, for the way of an event into the store needs the rest. A
 * view that promises nothing has nothing kept.
 */
export function boundMsOf({ view }: ViewProgram): number {
  const promises = [view.freshnessUs, ...view.features.map(({ freshnessUs }) => freshnessUs)];
  const shortestUs = Math.min(...promises.map((us) => us ?? Number.POSITIVE_INFINITY));
  return shortestUs === Number.POSITIVE_INFINITY ? 0 : shortestUs / US_PER_MS / 2;
}
