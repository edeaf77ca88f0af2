/**
 * The mismatch rate of pages against history, measured all the time: every so often a few keys of one live view are reconciled, without
 * repair, and what was found is kept in the registry.
 *
 * No file says which keys it has, so looking up one key reads as much of a source's history as looking up many. A turn
 * therefore takes one view, the one that was looked at the longest ago, with many keys; and the next turn comes only when this one's CPU
 * time is a small share of the time in between, however large history is. One process of a project takes a turn.
 *
 * Turns alternate between keys that the online store has (of a stretch that moves on through all of them) and keys that history
 * has (a random share of them), as a page may also be missing altogether. Keys that differ are looked at again with each turn until they
 * no longer do, so that a repair shows at once.
 */
import type { Clock } from '../base/clock.ts';
import { US_PER_DAY } from '../base/time.ts';
import type { OfflineStore } from '../offline/contract.ts';
import type { HistoryLog } from '../offline/history_contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import type { Registered, Registry } from '../registry/contract.ts';
import type { Comparison } from '../registry/health_contract.ts';
import { type Difference, reconcile } from '../stream/reconcile.ts';
import { nextBlock } from '../timeline/index.ts';
import { type LiveView, liveViews } from './live_views.ts';
import { readWatermark } from './materialize_state.ts';
import { isMismatch, type ToldDifference, tellDifference } from './reconcile_views.ts';
import { sleep } from './streaming.ts';

/** Keys that a turn compares about. */
const KEYS = 200;
/** Keys of the online store from which a turn chooses its own. */
const STRETCH = 20 * KEYS;
/** Events of history that a turn compares about; and blocks of pages, which hold some hundred each. */
const EVENTS = 100_000;
const BLOCKS = 1_000;
/** A turn that takes longer is given up. */
const TURN_MS = 120_000;
/** Of the time of one core, what turns may take. */
const SHARE = 0.01;
const LONGEST_REST_US = US_PER_DAY;
/** The rate is that of so many turns of a view. */
const ROUNDS = 20;
/** Keys that differ which are looked at again. */
const MAX_SUSPECTS = 100;
const TURN = 'compare pages with history';

export interface Sampling {
  readonly registry: Registry;
  readonly online: OnlineStore;
  readonly offline: Pick<OfflineStore, 'history' | 'deliveries'>;
  readonly history: Pick<HistoryLog, 'state'>;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** CPU time of this process so far, in milliseconds. */
  readonly cpuMs: () => number;
}

/** A key that differs and had not before. */
export interface FoundMismatch extends ToldDifference {
  readonly view: string;
  readonly version: number;
}

export interface SamplerOptions {
  /** At most so often. */
  readonly everyMs: number;
  readonly onMismatch: (found: FoundMismatch) => void;
  /** A view could not be compared; it is tried again. */
  readonly onFailure: (view: string, error: unknown) => void;
  /** After each turn: `totals` has grown. */
  readonly onTurn?: () => void;
}

/** What this process has compared, by view, since it began. */
export interface SamplerTotals {
  keys: number;
  readonly differences: Map<string, number>;
  cpuMs: number;
}

/** What one turn hands to the next, of a view; kept with its comparison. */
interface Notes {
  /** Where the next stretch of the online store begins, in base64; null: at its beginning. */
  readonly after: string | null;
  /** Keys that turns before compared, the newest last. */
  readonly rounds: readonly number[];
  /** Keys that differ, in base64. */
  readonly suspects: readonly string[];
  /** Whether the next keys are history's. */
  readonly fromHistory: boolean;
}

const NO_NOTES: Notes = { after: null, rounds: [], suspects: [], fromHistory: false };

export class MismatchSampler {
  /** By view. */
  readonly totals = new Map<string, SamplerTotals>();
  readonly #app: Sampling;
  readonly #options: SamplerOptions;
  /** By view and version: when this process last turned to it, also in vain. */
  readonly #turnedUs = new Map<string, number>();

  constructor(app: Sampling, options: SamplerOptions) {
    this.#app = app;
    this.#options = options;
  }

  /** Takes turns until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.turn(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#options.onFailure('all views', error);
      }
      await sleep(this.#options.everyMs, signal);
    }
  }

  /** One turn, if it is this process's; tells which view it looked at. */
  async turn(signal?: AbortSignal): Promise<string | null> {
    const { registry, clock, cpuMs } = this.#app;
    const nowUs = clock.nowUs();
    const everyUs = this.#options.everyMs * 1000;
    const taken = await registry.takeTurn({
      name: TURN,
      nowUs,
      // Who is killed in a turn keeps others from it for no longer than this.
      nextUs: nowUs + TURN_MS * 1000 + everyUs,
      furthestUs: nowUs + 2 * LONGEST_REST_US,
    });
    if (!taken) return null;
    const before = cpuMs();
    try {
      const view = await this.#next();
      if (view === undefined) return null;
      await this.#look(view, signal);
      this.#totalsOf(view.name).cpuMs += cpuMs() - before;
      this.#options.onTurn?.();
      return view.name;
    } finally {
      // All that the process did meanwhile counts: on a busy machine turns are rarer still.
      const restUs = Math.min(LONGEST_REST_US, ((cpuMs() - before) * 1000) / SHARE);
      await registry.putTurn(TURN, nowUs + Math.max(everyUs, restUs));
    }
  }

  /** The view that was looked at the longest ago. */
  async #next(): Promise<LiveView | undefined> {
    const { registry, clock } = this.#app;
    const registered = await registry.load();
    if (!registered.some(isLiveView)) return undefined;
    const done = new Map(
      (await registry.comparisons())
        .filter(({ by }) => by === 'reconcile')
        .map(({ view, version, atUs }) => [`${view}@${version}`, atUs]),
    );
    const lookedUs = (of: string) => Math.max(done.get(of) ?? 0, this.#turnedUs.get(of) ?? 0);
    const oldest = registered
      .filter(isLiveView)
      .map(({ name, version }) => ({ name, version, atUs: lookedUs(`${name}@${version}`) }))
      .reduce((a, b) => (b.atUs < a.atUs ? b : a));
    this.#turnedUs.set(`${oldest.name}@${oldest.version}`, clock.nowUs());
    return liveViews(registered, [oldest.name]).find(({ version }) => version === oldest.version);
  }

  async #look(view: LiveView, signal: AbortSignal | undefined): Promise<void> {
    const limit = AbortSignal.timeout(TURN_MS);
    try {
      await this.#compare(view, signal === undefined ? limit : AbortSignal.any([signal, limit]));
    } catch (error) {
      if (signal?.aborted) throw error;
      this.#options.onFailure(view.name, error);
    }
  }

  async #compare(view: LiveView, signal: AbortSignal): Promise<void> {
    const { registry, online, history, clock } = this.#app;
    const { name, version, program } = view;
    const watermark = await readWatermark(online, program.id);
    // Its files were never asked to be in its pages; or nothing was ever pushed.
    if (program.source.batch !== null && watermark === null) return;
    const { partitions } = await history.state(program.source.name);
    if (program.source.batch === null && partitions.size === 0) return;
    const notes = notesOf(
      (await registry.comparisons()).find(
        (one) => one.view === name && one.version === version && one.by === 'reconcile',
      ),
    );
    const { keys: size } = await online.size(program.id);
    const suspects = notes.suspects.map((text) => Uint8Array.fromBase64(text));
    const found = new Map<string, Difference[]>();
    let after = notes.after;
    let compared = 0;
    if (notes.fromHistory) {
      const streamed = [...partitions.values()].reduce((sum, { rows }) => sum + rows, 0);
      const rows = streamed + (watermark?.source.rows ?? 0);
      const count = Math.max(1, Math.ceil(size / KEYS), Math.ceil(rows / EVENTS));
      const shard = { index: Math.floor(this.#app.random() * count), count };
      compared += await this.#reconcile(view, { keys: null, shard }, found, signal);
    } else {
      const stretch = await this.#stretch(view, after);
      after = stretch.after;
      compared += await this.#reconcile(view, { keys: stretch.keys }, found, signal);
    }
    // Also those that were found just now: a page may have been on its way.
    const again = new Map(
      [...suspects, ...[...found.values()].map(([first]) => first!.key)].map((key) => [
        key.toBase64(),
        key,
      ]),
    );
    const confirmed = new Map<string, Difference[]>();
    if (again.size > 0)
      await this.#reconcile(view, { keys: [...again.values()] }, confirmed, signal);
    await this.#passOverFiles(view, confirmed, watermark?.newestUs ?? null, signal);

    const known = new Set(notes.suspects);
    const causes: Record<string, number> = {};
    const totals = this.#totalsOf(name);
    totals.keys += compared;
    const differing: string[] = [];
    for (const [key, differences] of confirmed) {
      for (const { cause } of differences) causes[cause] = (causes[cause] ?? 0) + 1;
      const wrong = differences.find(isMismatch);
      if (wrong !== undefined) differing.push(key);
      if (known.has(key)) continue;
      for (const { cause } of differences)
        totals.differences.set(cause, (totals.differences.get(cause) ?? 0) + 1);
      if (wrong !== undefined)
        this.#options.onMismatch({ view: name, version, ...tellDifference(program, wrong) });
    }
    const rounds = [...notes.rounds, compared].slice(-ROUNDS);
    const all = rounds.reduce((sum, one) => sum + one, 0);
    const next: Notes = {
      after,
      rounds,
      suspects: differing.slice(0, MAX_SUSPECTS),
      fromHistory: !notes.fromHistory,
    };
    await registry.putComparison({
      view: name,
      version,
      by: 'reconcile',
      atUs: clock.nowUs(),
      // A small view's keys come again and again.
      compared: Math.max(differing.length, Math.min(all, Math.max(size, compared))),
      different: differing.length,
      causes,
      notes: JSON.stringify(next),
    });
  }

  /** Some keys of the next stretch of the online store, and where the one after it begins. */
  async #stretch(
    { program: { id, layout } }: LiveView,
    from: string | null,
  ): Promise<{ keys: Uint8Array[]; after: string | null }> {
    const { online, random } = this.#app;
    const chosen: Uint8Array[] = [];
    let seen = 0;
    let last: Uint8Array | undefined;
    const start = from === null ? undefined : Uint8Array.fromBase64(from);
    for await (const key of online.scan(id, start)) {
      // Each of those seen so far is chosen with the same chance (reservoir sampling).
      const at = chosen.length < KEYS ? chosen.length : Math.floor(random() * (seen + 1));
      if (at < KEYS) chosen[at] = key;
      last = key;
      if (++seen === STRETCH) break;
    }
    const heads = await online.heads(chosen.map((key) => ({ view: id, key })));
    let blocks = 0;
    const keys = chosen.filter((_, i) => {
      blocks += blocksOf(layout, heads[i]?.bytes);
      return i === 0 || blocks <= BLOCKS;
    });
    return { keys, after: seen < STRETCH ? null : (last?.toBase64() ?? null) };
  }

  /** Compares keys; what differs is added to `found`, by key in base64. Tells how many keys it were. */
  async #reconcile(
    { catalog, program }: LiveView,
    which: Pick<Parameters<typeof reconcile>[0], 'keys' | 'shard'>,
    found: Map<string, Difference[]>,
    signal: AbortSignal,
  ): Promise<number> {
    const { online, offline, history } = this.#app;
    const { keys } = await reconcile({
      online,
      offline,
      log: history,
      catalog,
      program,
      ...which,
      repair: false,
      signal,
      onDifference: (difference) => {
        const key = difference.key.toBase64();
        const before = found.get(key);
        if (before !== undefined) before.push(difference);
        else if (found.size < KEYS) found.set(key, [difference]);
      },
    });
    return keys;
  }

  /** Events of files that came after the view was materialised are no mismatch: nobody has materialised them yet. */
  async #passOverFiles(
    { catalog, name, program }: LiveView,
    found: Map<string, Difference[]>,
    newestUs: number | null,
    signal: AbortSignal,
  ): Promise<void> {
    if (program.source.batch === null) return;
    const isNew = ({ cause, event }: Difference) =>
      cause === 'missing' && event!.arrivalUs > (newestUs ?? Number.NEGATIVE_INFINITY);
    const asked = [...found.values()].filter((differences) => differences.some(isNew));
    if (asked.length === 0) return;
    const deliveries = await this.#app.offline.deliveries({
      catalog,
      view: name,
      keys: asked.map(([first]) => first!.key),
      limit: EVENTS,
      signal,
    });
    const nameOf = ({ id, timeUs }: { id: bigint; timeUs: number }) => `${timeUs} ${id}`;
    const streamed = new Set(deliveries.filter(({ place }) => place !== null).map(nameOf));
    for (const [key, differences] of found) {
      const left = differences.filter((one) => !isNew(one) || streamed.has(nameOf(one.event!)));
      if (left.length === 0) found.delete(key);
      else found.set(key, left);
    }
  }

  #totalsOf(view: string): SamplerTotals {
    let totals = this.totals.get(view);
    if (totals === undefined) {
      totals = { keys: 0, differences: new Map(), cpuMs: 0 };
      this.totals.set(view, totals);
    }
    return totals;
  }
}

function isLiveView({ kind, state }: Registered): boolean {
  return kind === 'featureView' && state !== 'retired';
}

function notesOf(comparison: Comparison | undefined): Notes {
  return comparison === undefined || comparison.notes === ''
    ? NO_NOTES
    : JSON.parse(comparison.notes);
}

/** How much of history a page stands for, about; one that cannot be read is compared in any case. */
function blocksOf(layout: Parameters<typeof nextBlock>[0], head: Uint8Array | undefined): number {
  try {
    return head === undefined ? 0 : nextBlock(layout, head);
  } catch {
    return 0;
  }
}
