/**
 * Reconciliation: whether the pages of a view hold what history holds, event by event, and if not, why not; and repair.
 *
 * Pages and history are never at one point of the stream. So what history has and the view's checkpoint does not promise is not
 * missing yet, and what a page has beyond history, as its positions tell, is not extra.
 */
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import type { Catalog, ViewProgram } from '../model/index.ts';
import type { HistoryRequest, KeyedEvents, OfflineStore, Running } from '../offline/contract.ts';
import type { HistoryLog, HistoryState } from '../offline/history_contract.ts';
import type { Head, OnlineStore } from '../online/contract.ts';
import { dumpEvents, type Events, isEvicted } from '../timeline/index.ts';
import { joinRuns, Runs } from '../timeline/rows.ts';
import { scalarAt } from '../types/column.ts';
import { sameScalar } from '../types/scalar.ts';
import { readCheckpoint } from './checkpoint.ts';
import { readControl } from './control.ts';
import { type DumpedPage, dumpPage } from './dump_page.ts';
import { nameOfKey } from './evaluate.ts';
import { boundOf, settleKeys } from './page_builder.ts';
import { readPlaces } from './row_index.ts';

/** Keys that are compared at once. */
const CHUNK = 1_000;

/**
 * `missing`: history has the event, the page has not. `extra`: the page has it, history has not. `other`: both have it with different
 * content. `late`: any of these, because what history has came later than the source allows. `damaged`: the page cannot be read.
 */
export type Cause = 'missing' | 'late' | 'extra' | 'other' | 'damaged';

export interface Difference {
  readonly key: Uint8Array;
  readonly cause: Cause;
  /** The event that makes it; null for a damaged page. */
  readonly event: {
    readonly id: bigint;
    readonly timeUs: InstantUs;
    readonly arrivalUs: InstantUs;
  } | null;
}

export interface ReconcileRequest extends Running {
  readonly online: OnlineStore;
  readonly offline: Pick<OfflineStore, 'history'>;
  readonly log: Pick<HistoryLog, 'state'>;
  readonly catalog: Catalog;
  readonly program: ViewProgram;
  /** Only these entity keys; null: all that history or the online store knows. */
  readonly keys: readonly Uint8Array[] | null;
  /** Without `keys`: only those of this share of history, and none that the online store alone knows. */
  readonly shard?: HistoryRequest['shard'];
  /** Makes the pages what history says, together with what they have beyond it. */
  readonly repair: boolean;
  readonly onDifference?: (difference: Difference) => void;
}

export interface Reconciled {
  readonly keys: number;
  readonly events: number;
  /** Keys of which at least one event differs. */
  readonly differentKeys: number;
  readonly differences: Readonly<Record<Cause, number>>;
  /** Pages that were repaired. */
  readonly repaired: number;
}

/** Compares and, if asked to, repairs; the same again finds nothing. Throws `offline/…` and `online/…`. */
export async function reconcile(request: ReconcileRequest): Promise<Reconciled> {
  return new Reconciling(request, await pointOf(request)).run();
}

/** Where history is, and from which arrival on the pages need not have what history has. */
interface Compared {
  readonly state: HistoryState;
  /** +∞: pages have as much of the stream as history. */
  readonly laggingUs: InstantUs;
}

async function pointOf({ online, log, program }: ReconcileRequest): Promise<Compared> {
  const source = program.source.name;
  const state = await log.state(source);
  const control = await readControl(online, source);
  let laggingUs = Number.POSITIVE_INFINITY;
  for (const [partition, history] of state.partitions) {
    const place = { source, partition, viewId: program.id };
    const at = (await readCheckpoint(online, place, control))?.at ?? null;
    if (at !== null && at.position >= history.position) continue;
    laggingUs = Math.min(laggingUs, at?.arrivalUs ?? Number.NEGATIVE_INFINITY);
  }
  return { state, laggingUs };
}

class Reconciling {
  readonly #request: ReconcileRequest;
  readonly #compared: Compared;
  readonly #differences = { missing: 0, late: 0, extra: 0, other: 0, damaged: 0 };
  #keys = 0;
  #events = 0;
  readonly #different: Uint8Array[] = [];

  constructor(request: ReconcileRequest, compared: Compared) {
    this.#request = request;
    this.#compared = compared;
  }

  async run(): Promise<Reconciled> {
    const { online, offline, log, program, repair, signal, keys, shard } = this.#request;
    if (keys !== null) {
      for (let from = 0; from < keys.length; from += CHUNK)
        await this.#compareKeys(keys.slice(from, from + CHUNK));
    } else if (shard) {
      for await (const batch of offline.history({ ...this.#historyOf(null), shard }))
        await this.#compare(batch);
    } else {
      const seen = new Set<string>();
      for await (const batch of offline.history(this.#historyOf(null))) {
        for (const key of batch.keys) seen.add(nameOfKey(key));
        await this.#compare(batch);
      }
      let others: Uint8Array[] = [];
      for await (const key of online.scan(program.id)) {
        if (seen.has(nameOfKey(key))) continue;
        if (others.push(key) < CHUNK) continue;
        await this.#compareKeys(others);
        others = [];
      }
      await this.#compareKeys(others);
    }
    let repaired = 0;
    if (repair && this.#different.length > 0) {
      const history = { ...this.#historyOf(null), upTo: null };
      const build = { online, offline, log, program, history };
      const counts = await settleKeys(build, this.#different);
      repaired = counts.written + counts.removed;
    }
    signal?.throwIfAborted();
    return {
      keys: this.#keys,
      events: this.#events,
      differentKeys: this.#different.length,
      differences: this.#differences,
      repaired,
    };
  }

  #historyOf(keys: readonly Uint8Array[] | null) {
    const { catalog, program, onProgress, signal } = this.#request;
    const upTo = new Map(
      [...this.#compared.state.partitions].map(([partition, { position }]) => [
        partition,
        position,
      ]),
    );
    const view = program.view.name;
    return { catalog, view, shard: null, changedSinceUs: null, keys, upTo, onProgress, signal };
  }

  async #compareKeys(keys: readonly Uint8Array[]): Promise<void> {
    if (keys.length === 0) return;
    const left = new Map(keys.map((key) => [nameOfKey(key), key]));
    for await (const batch of this.#request.offline.history(this.#historyOf(keys))) {
      for (const key of batch.keys) left.delete(nameOfKey(key));
      await this.#compare(batch);
    }
    const { layout } = this.#request.program;
    const nothing = dumpEvents(layout, { block: () => undefined });
    const rest = [...left.values()];
    await this.#compare({
      keys: rest,
      starts: new Int32Array(rest.length + 1),
      events: nothing,
      tombstones: new Map(),
    });
  }

  /** Heads after history: they have at least what their checkpoints promised before. */
  async #compare(batch: KeyedEvents): Promise<void> {
    const { online, program } = this.#request;
    for (let from = 0; from < batch.keys.length; from += CHUNK) {
      const keys = batch.keys.slice(from, from + CHUNK);
      const heads = await online.heads(keys.map((key) => ({ view: program.id, key })));
      for (let i = 0; i < keys.length; i++)
        await this.#compareKey(
          keys[i]!,
          heads[i],
          expectedEvents(batch, from + i),
          batch.tombstones.get(from + i) ?? [],
        );
    }
  }

  async #compareKey(
    key: Uint8Array,
    head: Head | undefined,
    expected: Events,
    tombstones: readonly Tombstone[],
  ): Promise<void> {
    this.#keys++;
    this.#events += expected.length;
    const found = await this.#differencesOf(key, head, expected, tombstones);
    if (found.length === 0) return;
    this.#different.push(key);
    for (const difference of found) {
      this.#differences[difference.cause]++;
      this.#request.onDifference?.(difference);
    }
  }

  async #differencesOf(
    key: Uint8Array,
    first: Head | undefined,
    expected: Events,
    tombstones: readonly Tombstone[],
  ): Promise<Difference[]> {
    const { online, program } = this.#request;
    const page = { view: program.id, key };
    for (let head = first; ; ) {
      // Its events are in history alone, as they should be.
      if (head !== undefined && isEvicted(head.bytes)) return [];
      try {
        const stored = await dumpPage(online, program, page, head);
        return await this.#differ(key, expected, tombstones, stored);
      } catch (error) {
        if (!(error instanceof SamewiseError) || !error.code.startsWith('timeline/')) throw error;
        // A block may be gone because the page has changed meanwhile.
        const [now] = await online.heads([page]);
        if (now?.version === head?.version) return [{ key, cause: 'damaged', event: null }];
        head = now;
      }
    }
  }

  async #differ(
    key: Uint8Array,
    expected: Events,
    tombstones: readonly Tombstone[],
    { events, tail }: DumpedPage,
  ): Promise<Difference[]> {
    const { mutable, latenessUs } = this.#request.program.source;
    const { state, laggingUs } = this.#compared;
    // What arrived later may be in the page and not in history yet.
    const newerUs = (tail && boundOf(tail.positions, state)) ?? Number.POSITIVE_INFINITY;
    const isNewer = (row: number) => arrivalOf(events, row) > newerUs;
    const isLate = (event: { readonly timeUs: InstantUs; readonly arrivalUs: InstantUs }) =>
      !mutable && event.arrivalUs - event.timeUs > latenessUs;
    const differs = (cause: Cause, event: NonNullable<Difference['event']>): Difference => ({
      key,
      cause: isLate(event) ? 'late' : cause,
      event,
    });
    const droppedUs = tail?.droppedUs ?? Number.NEGATIVE_INFINITY;
    const inPage = new Map<string, number>();
    for (let row = 0; row < events.length; row++) inPage.set(nameOf(events, row), row);
    const out: Difference[] = [];
    const lacking: number[] = [];
    for (let row = 0; row < expected.length; row++) {
      if (expected.timeUs[row]! <= droppedUs) continue;
      const name = nameOf(expected, row);
      const at = inPage.get(name);
      inPage.delete(name);
      if (arrivalOf(expected, row) > laggingUs) continue;
      if (at === undefined) lacking.push(row);
      else if (!sameEvent(expected, row, events, at) && !isNewer(at))
        out.push(differs('other', eventOf(expected, row)));
    }
    const retracted = namesAfter(tombstones, laggingUs);
    const graves = new Map(tombstones.map((grave) => [`${grave.timeUs} ${grave.id}`, grave]));
    for (const [name, row] of inPage) {
      // What came into history after the page's checkpoint may have moved it or taken it away.
      const leaving = retracted.has(name) || (mutable && laggingUs !== Number.POSITIVE_INFINITY);
      if (leaving || isNewer(row)) continue;
      // A retract that came late is in history alone, too.
      const grave = graves.get(name);
      const late = grave !== undefined && isLate(grave);
      out.push({ key, cause: late ? 'late' : 'extra', event: eventOf(events, row) });
    }
    if (lacking.length === 0) return out;
    const gone = namesAfter(tail?.tombstones ?? [], newerUs);
    const places = await this.#placesOf(lacking.map((row) => expected.id[row]!));
    lacking.forEach((row, i) => {
      const event = eventOf(expected, row);
      const place = places[i];
      if (gone.has(nameOf(expected, row))) return;
      if (place !== undefined && place.arrivalUs > event.arrivalUs) return;
      out.push(differs('missing', event));
    });
    return out;
  }

  /** Where rows of a table lie; nothing of other sources. */
  async #placesOf(ids: readonly bigint[]) {
    const { online, program } = this.#request;
    return program.source.mutable ? readPlaces(online, program, ids) : [];
  }
}

type Tombstone = NonNullable<DumpedPage['tail']>['tombstones'][number];

function namesAfter(tombstones: readonly Tombstone[], afterUs: InstantUs): Set<string> {
  return new Set(
    tombstones
      .filter(({ arrivalUs }) => arrivalUs > afterUs)
      .map(({ timeUs, id }) => `${timeUs} ${id}`),
  );
}

function arrivalOf({ arrivalUs, timeUs }: Events, row: number): InstantUs {
  return (arrivalUs ?? timeUs)[row]!;
}

/** What history has of a key. Of what retention may drop a page holds any newest part: its tail says which. */
function expectedEvents({ events, starts }: KeyedEvents, i: number): Events {
  const runs = new Runs();
  runs.add(0, starts[i]!, starts[i + 1]! - starts[i]!);
  return joinRuns([events], runs);
}

function nameOf({ timeUs, id }: Events, row: number): string {
  return `${timeUs[row]} ${id[row]}`;
}

function eventOf({ timeUs, arrivalUs, id }: Events, row: number) {
  return { id: id[row]!, timeUs: timeUs[row]!, arrivalUs: (arrivalUs ?? timeUs)[row]! };
}

function sameEvent(a: Events, x: number, b: Events, y: number): boolean {
  if (arrivalOf(a, x) !== arrivalOf(b, y)) return false;
  return a.columns.every((column, i) =>
    sameScalar(scalarAt(column, x), scalarAt(b.columns[i]!, y)),
  );
}
