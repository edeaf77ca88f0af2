/**
 * Heads of a store that is a round trip away, kept in this process: for a part of the time for which their view promises to be
 * fresh, absent ones as well. Who asks for a head that is on its way to another waits for that one. A store that tells versions
 * without a round trip is near enough to do without.
 */
import type { Clock } from '../base/clock.ts';
import { US_PER_MS } from '../base/time.ts';
import type { ViewProgram } from '../model/index.ts';
import type { Head, MaybePromise, OnlineStore, PageKey } from '../online/contract.ts';
import type { PageRead, PageSource } from './pages.ts';

/** What is kept at most, in bytes. */
const MAX_BYTES = 64 << 20;
/** What an entry takes beside its page, about. */
const ENTRY_BYTES = 300;
/** No version of any head. */
const UNKNOWN = -1;

/** What the cache has done so far; for metrics. */
export interface PageCacheCounts {
  /** Heads that were kept; of these, keys that are known to have none. */
  hits: number;
  absentHits: number;
  /** Heads that were fetched, or waited for because somebody else was fetching them. */
  misses: number;
  joined: number;
  evicted: number;
  bytes: number;
  /** Age of the oldest head that was answered with, in milliseconds. */
  oldestMs: number;
}

interface Kept {
  readonly head: Head | undefined;
  /** Reading of the monotonic clock before it was fetched. */
  readonly sinceMs: number;
  readonly untilMs: number;
}

type Fetched = Promise<Head | undefined>;

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
  /** The one that was used last comes last. */
  readonly #kept = new Map<string, Kept>();
  readonly #underWay = new Map<string, Fetched>();

  constructor(online: OnlineStore, clock: Clock, maxBytes = MAX_BYTES) {
    this.#online = online;
    this.#clock = clock;
    this.#maxBytes = maxBytes;
  }

  /** As `OnlineStore.heads`; at once where all are kept. */
  heads(wanted: readonly PageRead[]): MaybePromise<(Head | undefined)[]> {
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
      const name = nameOf(page);
      const kept = this.#find(name, nowMs);
      if (kept !== undefined) {
        out[i] = kept.head;
        continue;
      }
      const coming = this.#underWay.get(name);
      if (coming === undefined) missing.push(i);
      else {
        this.counts.joined++;
        waits.push(
          coming.then((head) => {
            out[i] = head;
          }),
        );
      }
    }
    if (missing.length > 0) waits.push(this.#fetch(wanted, missing, nowMs, out));
    return waits.length === 0 ? out : Promise.all(waits).then(() => out);
  }

  /** Versions of the heads that are kept; of every other one a version that no head has. */
  versions(keys: readonly PageKey[]): number[] {
    const nowMs = this.#clock.monotonicMs();
    return keys.map((key) => {
      const kept = this.#find(nameOf(key), nowMs);
      return kept === undefined ? UNKNOWN : (kept.head?.version ?? 0);
    });
  }

  blocks(key: PageKey, blocks: readonly number[]): Promise<(Uint8Array | undefined)[]> {
    return this.#online.blocks(key, blocks);
  }

  /** Forgets pages, for instance because they have just been written; also those that are under way. */
  forget(keys: readonly PageKey[]): void {
    for (const key of keys) {
      const name = nameOf(key);
      this.#remove(name);
      this.#underWay.delete(name);
    }
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
    const names = missing.map((i) => nameOf(wanted[i]!));
    const coming = missing.map((i, at) => {
      if (isStrong(wanted[i]!.program)) return null;
      const each = fetched.then((heads) => heads[at]);
      // Whoever waits for it sees that it failed, and so does this.
      each.catch(() => {});
      this.#underWay.set(names[at]!, each);
      return each;
    });
    try {
      const heads = await fetched;
      missing.forEach((i, at) => {
        out[i] = heads[at];
        // What has been written since is no longer under way here.
        const isCurrent = coming[at] !== null && this.#underWay.get(names[at]!) === coming[at];
        const boundMs = boundMsOf(wanted[i]!.program);
        if (isCurrent && boundMs > 0)
          this.#keep(names[at]!, { head: heads[at], sinceMs: nowMs, untilMs: nowMs + boundMs });
      });
    } finally {
      names.forEach((name, at) => {
        if (coming[at] !== null && this.#underWay.get(name) === coming[at])
          this.#underWay.delete(name);
      });
    }
  }

  #find(name: string, nowMs: number): Kept | undefined {
    const kept = this.#kept.get(name);
    if (kept === undefined) return undefined;
    if (nowMs >= kept.untilMs) {
      this.#remove(name);
      return undefined;
    }
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    this.counts.hits++;
    if (kept.head === undefined) this.counts.absentHits++;
    this.counts.oldestMs = Math.max(this.counts.oldestMs, nowMs - kept.sinceMs);
    return kept;
  }

  #keep(name: string, kept: Kept): void {
    this.#remove(name);
    this.#kept.set(name, kept);
    this.counts.bytes += sizeOf(kept);
    for (const oldest of this.#kept.keys()) {
      if (this.counts.bytes <= this.#maxBytes) return;
      this.#remove(oldest);
      this.counts.evicted++;
    }
  }

  #remove(name: string): void {
    const kept = this.#kept.get(name);
    if (kept === undefined) return;
    this.#kept.delete(name);
    this.counts.bytes -= sizeOf(kept);
  }
}

function nameOf({ view, key }: PageKey): string {
  return view + key.toHex();
}

function sizeOf({ head }: Kept): number {
  return ENTRY_BYTES + (head?.bytes.length ?? 0);
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
