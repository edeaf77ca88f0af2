/** Why one feature of one key has its value: the events that counted, out of history, beside what the page holds. */
import { windowEnd, windowStart } from '../aggregate/window.ts';
import { SamewiseError } from '../base/errors.ts';
import { formatInstant, type InstantUs } from '../base/time.ts';
import { printExpr } from '../expr/index.ts';
import { type Catalog, lookupsUsedBy, printRef, type ViewProgram } from '../model/index.ts';
import type { StoredStatus } from '../model/missing.ts';
import type { Delivery, Knowledge, OfflineStore } from '../offline/contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import { printFeature } from '../plan/index.ts';
import type { BringBack } from '../serving/index.ts';
import type { KeptPromise } from '../serving/kept_promise.ts';
import { type DumpedPage, dumpPage } from '../stream/dump_page.ts';
import { type Events, isEvicted, type Layout, partsOf, readTimeline } from '../timeline/index.ts';
import { isNull, scalarAt } from '../types/column.ts';
import { printKey } from '../types/key.ts';
import { type Scalar, sameScalar, scalarToJsonText } from '../types/scalar.ts';
import { readerOf } from './prove_page.ts';
import { DeliveredRows } from './prove_rows.ts';
import { type ExactJson, exactJson } from './told_json.ts';

/** Deliveries of one key that are held in memory. */
const MAX_DELIVERIES = 300_000;
/** Differences between page and history that are told. */
const MAX_DIFFERENCES = 20;
/** How often a page may change while it is read. */
const MAX_ATTEMPTS = 16;

export interface LookupToExplain {
  readonly online: OnlineStore;
  readonly offline: Pick<OfflineStore, 'deliveries'>;
  readonly bringBack: BringBack;
  readonly catalog: Catalog;
  readonly program: ViewProgram;
  readonly version: number | null;
  /** Position of the feature in its view. */
  readonly feature: number;
  /** The encoded entity key; null: a part of it is not known. */
  readonly key: Uint8Array | null;
  readonly parts: readonly (Scalar | null)[];
  readonly keys: ExplainedLookup['keys'];
  readonly readUs: InstantUs;
  readonly knowledge: Knowledge;
  /** What of the stream's history counts, by partition; null: all. */
  readonly upTo: ReadonlyMap<string, bigint> | null;
  readonly freshness: ExplainedLookup['freshness'];
  /** Whether the page is asked; of a training set built as-served it has nothing to say. */
  readonly asksPage: boolean;
  /** Events to tell. */
  readonly events: number;
  readonly signal?: AbortSignal;
}

/** An event that counted. */
export interface ExplainedEvent {
  readonly event_time: string;
  readonly arrival: string;
  readonly id: ExactJson;
  /** What the aggregate took of it; null is skipped. Absent for count(). */
  readonly input?: ExactJson;
  /** The row's columns, looked-up ones too. */
  readonly columns: Readonly<Record<string, ExactJson>>;
  /** Its place in the source's log; null: it is of the batch location. */
  readonly place: { readonly partition: string; readonly position: string } | null;
  /** It came later than the source allows. */
  readonly late: boolean;
}

/** A feature that is read of a view's page, and why it is what it is. */
export interface ExplainedLookup {
  /** `view:feature`. */
  readonly feature: string;
  readonly version: number | null;
  /** `avg(amount) over 7d → float64`. */
  readonly definition: string;
  readonly where: string | null;
  readonly description: string;
  readonly owner: string;
  /** Key parts in the entity's order, and where each came from: a column of the request, or a feature. */
  readonly keys: readonly {
    readonly name: string;
    readonly value: ExactJson;
    readonly from: string;
  }[];
  /** As in `customer_id=7`; null: a part is null, so it is nobody's. */
  readonly key: string | null;
  /** Columns of its source that other features gave. */
  readonly looked_up: readonly {
    readonly column: string;
    readonly from: string;
    readonly by: readonly string[];
  }[];
  /** Events from `from` (inclusive; null: from the beginning) to `to` (exclusive) count; of these the newest `last`. */
  readonly window: {
    readonly from: string | null;
    readonly to: string;
    readonly last: number | null;
  };
  /** Events in the window, and how many of them the aggregate skips because its input is null. */
  readonly counted: number;
  readonly skipped: number;
  /** The newest of them. */
  readonly events: readonly ExplainedEvent[];
  /** What the page says; null: it was not asked. */
  readonly online: ExplainedPage | null;
  /** What history says, by the code that training uses. */
  readonly recomputed: { readonly value: ExactJson; readonly status: StoredStatus };
  /** What stands for null. */
  readonly default: ExactJson;
  /** Page and history say the same; null: the page was not asked. */
  readonly agrees: boolean | null;
  /** Events before the read that only one of them has, or that they have differently. */
  readonly differences: readonly {
    readonly id: ExactJson;
    readonly event_time: string;
    readonly arrival: string;
    readonly only: 'page' | 'history' | 'other';
  }[];
  /** The newest event before the read, how old it was then, and how long after it happened it arrived. */
  readonly newest: {
    readonly event_time: string;
    readonly arrival: string;
    readonly age_ms: number;
    readonly arrived_after_ms: number;
  } | null;
  /** The promise of freshness that holds for it, as it was last seen; null: none does. */
  readonly freshness: Pick<KeptPromise, 'within_ms' | 'state' | 'lag_ms'> | null;
}

export interface ExplainedPage {
  readonly value: ExactJson;
  readonly status: StoredStatus;
  readonly newest_event: string | null;
  /** By partition of the source's log, how far the page has come. */
  readonly positions: Readonly<Record<string, string>>;
  /** What the value is merged from, the oldest first. */
  readonly parts: readonly {
    readonly kind: string;
    readonly block: number | null;
    readonly rows: number;
    readonly from: string | null;
    readonly to: string;
    readonly value: ExactJson;
  }[];
}

export interface LookupAnswer {
  readonly told: ExplainedLookup;
  /** Before anything stands in; null: the page was not asked. */
  readonly online: Answer | null;
  readonly recomputed: Answer;
}

export interface Answer {
  readonly value: Scalar | null;
  readonly status: StoredStatus;
}

/** Explains one feature. Throws `app/too-many-events`, `offline/…`, `online/…`, `timeline/…`. */
export async function explainLookup(asked: LookupToExplain): Promise<LookupAnswer> {
  const { program, feature: position, key, readUs, catalog } = asked;
  const feature = program.view.features[position]!;
  const { layout } = program;
  const read = layout.reads[position]!;
  const { input } = layout.aggregates[read.aggregate]!;
  const json = (value: Scalar | null) => exactJson(scalarToJsonText(value, feature.dtype));
  const { rows, delivered } = await historyOf(asked);
  const history = key === null ? noRows(delivered) : delivered.eventsOf(key, rows);
  const answer = readerOf(program, [feature.name]).read(history, readUs);
  const [lo, hi] = countedRows(history, read.window, readUs);
  const page = key !== null && asked.asksPage ? await readPage(asked, key) : null;
  const online =
    asked.asksPage === false
      ? null
      : page === null
        ? readTimeline(layout, undefined, () => undefined, readUs, [position])
        : page.answer;
  const startUs = windowStart(read.window, readUs);
  const column = input < 0 ? null : history.columns[input]!;
  let skipped = 0;
  for (let row = lo; column !== null && row < hi; row++) if (isNull(column, row)) skipped++;
  const deliveryOf = finder(delivered.deliveries, rows);
  const told = Array.from({ length: Math.min(asked.events, hi - lo) }, (_, i): ExplainedEvent => {
    const row = hi - 1 - i;
    const delivery = deliveryOf(history, row)!;
    return {
      event_time: formatInstant(history.timeUs[row]!),
      arrival: formatInstant(arrivalOf(history, row)),
      id: exactJson(String(history.id[row])),
      ...(column === null
        ? {}
        : { input: exactJson(scalarToJsonText(scalarAt(column, row), layout.columns[input]!)) }),
      columns: Object.fromEntries(
        program.rowSchema.map(({ name, dtype }) => [
          name,
          exactJson(scalarToJsonText(delivery.values[name]!, dtype)),
        ]),
      ),
      place: delivery.place && {
        partition: delivery.place.partition,
        position: String(delivery.place.position),
      },
      late: delivery.late,
    };
  });
  const newest = countBefore(history, readUs) - 1;
  const { view, source, entity, keyDtypes } = program;
  const names = entity.key.map(({ name }) => name);
  return {
    online: online && { value: online.values[0]!, status: online.statuses[0]! },
    recomputed: { value: answer.values[0]!, status: answer.statuses[0]! },
    told: {
      feature: printRef(view.name, feature.name),
      version: asked.version,
      definition: printFeature(feature),
      where: view.where === null ? null : printExpr(view.where),
      description: feature.description,
      owner: view.owner,
      keys: asked.keys,
      key: key === null ? null : printKey(names, asked.parts as Scalar[], keyDtypes),
      looked_up: lookupsUsedBy(view, source).map((lookup) => ({
        column: lookup.name,
        from: printRef(lookup.view, lookup.feature),
        by: lookup.keys,
      })),
      window: {
        from: startUs === Number.NEGATIVE_INFINITY ? null : formatInstant(startUs),
        to: formatInstant(windowEnd(read.window, readUs)),
        last: read.window.last,
      },
      counted: hi - lo,
      skipped,
      events: told,
      online:
        online === null
          ? null
          : {
              value: json(online.values[0]!),
              status: online.statuses[0]!,
              newest_event: online.eventTimeUs === null ? null : formatInstant(online.eventTimeUs),
              positions: Object.fromEntries(
                [...(page?.dumped.tail?.positions ?? [])].map(([name, at]) => [name, String(at)]),
              ),
              parts: (page?.parts ?? []).map(({ kind, block, rows, fromUs, toUs, value }) => ({
                kind,
                block,
                rows,
                from: fromUs === Number.NEGATIVE_INFINITY ? null : formatInstant(fromUs),
                to: formatInstant(toUs),
                value: json(value),
              })),
            },
      recomputed: { value: json(answer.values[0]!), status: answer.statuses[0]! },
      default: json(program.defaults[position]!),
      freshness: asked.freshness,
      agrees:
        online === null
          ? null
          : sameScalar(online.values[0]!, answer.values[0]!) &&
            online.statuses[0] === answer.statuses[0],
      differences: page === null ? [] : differencesOf(history, page.dumped, readUs),
      newest:
        newest < 0
          ? null
          : {
              event_time: formatInstant(history.timeUs[newest]!),
              arrival: formatInstant(arrivalOf(history, newest)),
              age_ms: (readUs - history.timeUs[newest]!) / 1000,
              arrived_after_ms: (arrivalOf(history, newest) - history.timeUs[newest]!) / 1000,
            },
    },
  };

  /** The key's deliveries, and which of them had arrived. */
  async function historyOf({ offline, knowledge, upTo, signal, program }: LookupToExplain) {
    const deliveries =
      key === null
        ? []
        : await offline
            .deliveries({
              catalog,
              view: program.view.name,
              keys: [key],
              limit: MAX_DELIVERIES,
              lateness: true,
              upTo,
              signal,
            })
            .catch((error) => {
              // Nothing was ever pushed, and there is no batch location.
              if (error instanceof SamewiseError && error.code === 'offline/no-history') return [];
              throw error;
            });
    if (deliveries.length === MAX_DELIVERIES)
      throw new SamewiseError(
        'app/too-many-events',
        `more than ${MAX_DELIVERIES} deliveries of one key are not explained`,
        { where: { view: program.view.name }, hint: 'query the history itself' },
      );
    const delivered = new DeliveredRows(program, deliveries);
    const all = key === null ? [] : delivered.rowsOf(key);
    const rows =
      knowledge === 'final' ? all : all.filter((row) => deliveries[row]!.arrivalUs < readUs);
    return { delivered, rows };
  }
}

function noRows(delivered: DeliveredRows): Events {
  return delivered.eventsOf(new Uint8Array(0), []);
}

async function readPage(asked: LookupToExplain, key: Uint8Array) {
  const { online, bringBack, program, feature, readUs } = asked;
  const page = { view: program.id, key };
  for (let attempt = 1; ; attempt++) {
    const [head] = await online.heads([page]);
    if (head === undefined) return null;
    if (isEvicted(head.bytes) && attempt < MAX_ATTEMPTS) {
      await bringBack(program, key);
      continue;
    }
    try {
      const dumped = await dumpPage(online, program, page, head);
      const { stored } = dumped;
      const answer = readTimeline(program.layout, head.bytes, stored.block, readUs, [feature]);
      return { dumped, answer, parts: partsOf(program.layout, stored, readUs, feature) };
    } catch (error) {
      const [now] = await online.heads([page]);
      if (attempt === MAX_ATTEMPTS || now?.version === head.version) throw error;
    }
  }
}

/** The rows that a window sees, from lo to hi. */
function countedRows(
  events: Events,
  window: Layout['reads'][number]['window'],
  readUs: InstantUs,
): [lo: number, hi: number] {
  const hi = countBefore(events, windowEnd(window, readUs));
  const first = countBefore(events, windowStart(window, readUs));
  return [window.last === null ? first : Math.max(first, hi - window.last), hi];
}

function countBefore({ timeUs, length }: Events, us: number): number {
  let count = length;
  while (count > 0 && timeUs[count - 1]! >= us) count--;
  return count;
}

function arrivalOf({ arrivalUs, timeUs }: Events, row: number): InstantUs {
  return (arrivalUs ?? timeUs)[row]!;
}

/** Finds the delivery that an event is of. */
function finder(deliveries: readonly Delivery[], rows: readonly number[]) {
  const byName = new Map(
    rows.map((row) => {
      const { id, timeUs, arrivalUs } = deliveries[row]!;
      return [`${timeUs} ${id} ${arrivalUs}`, deliveries[row]!];
    }),
  );
  return (events: Events, row: number) =>
    byName.get(`${events.timeUs[row]} ${events.id[row]} ${arrivalOf(events, row)}`);
}

/** What only the page, or only history, has of the time before the read; the newest first. */
function differencesOf(
  history: Events,
  { events, tail }: DumpedPage,
  readUs: InstantUs,
): ExplainedLookup['differences'] {
  const rowOf = new Map<string, number>();
  for (let row = 0; row < events.length; row++)
    rowOf.set(`${events.timeUs[row]} ${events.id[row]}`, row);
  const found: { from: Events; row: number; only: 'page' | 'history' | 'other' }[] = [];
  for (let row = 0; row < history.length; row++) {
    const name = `${history.timeUs[row]} ${history.id[row]}`;
    const at = rowOf.get(name);
    rowOf.delete(name);
    // What retention has dropped is in its base.
    if (history.timeUs[row]! <= (tail?.droppedUs ?? Number.NEGATIVE_INFINITY)) continue;
    if (at === undefined) found.push({ from: history, row, only: 'history' });
    else if (!sameEvent(history, row, events, at))
      found.push({ from: history, row, only: 'other' });
  }
  for (const row of rowOf.values()) found.push({ from: events, row, only: 'page' });
  return found
    .filter(({ from, row }) => from.timeUs[row]! < readUs)
    .sort((a, b) => b.from.timeUs[b.row]! - a.from.timeUs[a.row]!)
    .slice(0, MAX_DIFFERENCES)
    .map(({ from, row, only }) => ({
      id: exactJson(String(from.id[row])),
      event_time: formatInstant(from.timeUs[row]!),
      arrival: formatInstant(arrivalOf(from, row)),
      only,
    }));
}

function sameEvent(a: Events, x: number, b: Events, y: number): boolean {
  return (
    arrivalOf(a, x) === arrivalOf(b, y) &&
    a.columns.every((column, i) => sameScalar(scalarAt(column, x), scalarAt(b.columns[i]!, y)))
  );
}
