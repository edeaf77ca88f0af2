/**
 * Pushing events: into history first, then into the pages of every live view of the source. Each step may be repeated:
 * a push that was cut off anywhere is made whole by making it again, and one that is whole changes nothing any more.
 */
import type { Clock } from '../base/clock.ts';
import { nearest, SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import {
  type Catalog,
  compileView,
  eventIds,
  type Source,
  type ViewProgram,
} from '../model/index.ts';
import type { OfflineStore } from '../offline/contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import { catalogAt } from '../plan/index.ts';
import type { Registered, Registry } from '../registry/contract.ts';
import { settleKeys } from '../stream/page_builder.ts';
import { type RowPlace, readPlaces, stands, writePlaces } from '../stream/row_index.ts';
import { type Column, scalarAt } from '../types/column.ts';
import { encodeKey } from '../types/key.ts';
import { applyToPages, type Change } from './push_pages.ts';
import { batchOfRows, checkRows, contentId, OP, type PushedRow, timeOf } from './push_rows.ts';

export interface PushRequest {
  readonly source: string;
  /** Values by column, in any form that `coerce` reads; `__op: "retract"` takes an event away. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** What makes it the same push; by default its content. A table under change that returns to old values needs one of its own. */
  readonly batchId?: string;
}

export interface PushResult {
  readonly source: string;
  readonly rows: number;
  /** False: this push was made before, and nothing has changed by it now. */
  readonly fresh: boolean;
  readonly views: readonly PushedView[];
}

export interface PushedView {
  readonly view: string;
  readonly version: number;
  /** Rows without a key, which belong to nobody. */
  readonly keyless: number;
  /** Pages that are others now. */
  readonly keys: number;
}

/** What a push works with: an app, or a test's own stores. */
export interface Pushing {
  readonly registry: Registry;
  readonly online: OnlineStore;
  readonly offline: OfflineStore;
  readonly clock: Clock;
}

/**
 * What the online store remembers of a push, under the id of its batch: an entry of about 100 bytes, kept for ever, for a
 * push may be repeated after any time and must then keep its first arrival.
 */
interface Remembered {
  readonly arrivalUs: InstantUs;
  readonly done: boolean;
}

/**
 * Appends events of a source. All rows are checked before anything is stored (see `checkRows`); a retry of a push that was
 * cut off keeps its first arrival time. Throws `app/unknown-source`, `offline/…`, `online/…`, `timeline/damaged-page`.
 */
export async function push(app: Pushing, request: PushRequest): Promise<PushResult> {
  const registered = await app.registry.load();
  const source = sourceNamed(registered, request.source);
  const rows = checkRows(source, request.rows);
  const batchId = request.batchId ?? contentId(source, rows);
  const live = registered.filter(
    ({ kind, state, definition }) =>
      kind === 'featureView' &&
      state !== 'retired' &&
      (definition as { source?: string }).source === source.name,
  );
  const memory = new Memory(app.online, `push/${source.name}/${batchId}`);
  const before = await memory.read();
  const none = live.map(({ name, version }) => ({ view: name, version, keyless: 0, keys: 0 }));
  if (rows.length === 0 || before?.done)
    return { source: source.name, rows: rows.length, fresh: false, views: none };

  const arrivalUs = before?.arrivalUs ?? app.clock.nowUs();
  if (before === null) await memory.write({ arrivalUs, done: false });
  const rounds = roundsOf(source, rows);
  let known = false;
  try {
    const catalog = catalogAt(registered, { kind: 'source', name: source.name });
    for (const [i, some] of rounds.entries()) {
      const id = i === 0 ? batchId : `${batchId}/${i}`;
      const batch = { catalog, source: source.name, rows: some, arrivalUs: arrivalUs + i };
      if (!(await app.offline.append({ ...batch, batchId: id })) && before === null) known = true;
    }
  } catch (error) {
    // Not cut off but refused: what is tried again later arrives later.
    if (before === null) await memory.write(null);
    throw error;
  }
  const views: PushedView[] = [];
  for (const { name, version } of live) {
    const catalog = catalogAt(registered, { kind: 'featureView', name, version });
    const program = compileView(catalog, name);
    const made = known
      ? await rebuild(app, catalog, program, rows)
      : await applyRounds(app.online, program, rounds, arrivalUs);
    views.push({ view: name, version, ...made });
  }
  await memory.write({ arrivalUs, done: true });
  return { source: source.name, rows: rows.length, fresh: !known, views };
}

/** History has this push, but this online store does not know it: only history knows when the events arrived. */
async function rebuild(
  { online, offline }: Pushing,
  catalog: Catalog,
  program: ViewProgram,
  rows: readonly PushedRow[],
): Promise<{ keyless: number; keys: number }> {
  const { keys, keyless, ids } = evaluate(program, rows, 0);
  const old = program.source.mutable ? await readPlaces(online, program, [...ids]) : [];
  const touched = [...keys, ...old.map((place) => place?.key ?? null)];
  const distinct = new Map(touched.flatMap((key) => (key === null ? [] : [[key.toHex(), key]])));
  const view = program.view.name;
  const history = { catalog, view, shard: null, changedSinceUs: null, keys: null };
  const request = { online, offline, program, history };
  const { written, removed } = await settleKeys(request, [...distinct.values()]);
  return { keyless, keys: written + removed };
}

class Memory {
  readonly #online: OnlineStore;
  readonly #name: string;

  constructor(online: OnlineStore, name: string) {
    this.#online = online;
    this.#name = name;
  }

  async read(): Promise<Remembered | null> {
    const bytes = await this.#online.getMeta(this.#name);
    return bytes === undefined ? null : JSON.parse(new TextDecoder().decode(bytes));
  }

  async write(value: Remembered | null): Promise<void> {
    await this.#online.putMeta(this.#name, new TextEncoder().encode(JSON.stringify(value)));
  }
}

function sourceNamed(registered: readonly Registered[], name: string): Source {
  const sources = registered.filter(({ kind, state }) => kind === 'source' && state === 'current');
  const found = sources.find((source) => source.name === name);
  if (found !== undefined) return found.definition as Source;
  const names = sources.map((source) => source.name);
  const meant = nearest(name, names);
  throw new SamewiseError('app/unknown-source', `no source ${JSON.stringify(name)}`, {
    where: { source: name },
    hint:
      names.length === 0
        ? 'run `samewise apply` first'
        : meant === undefined
          ? `registered: ${names.join(', ')}`
          : `did you mean "${meant}"?`,
  });
}

/**
 * Of a mutable source the later of two rows of one id replaces the earlier: they are appended one after the other, a
 * microsecond apart. Other sources take all rows at once.
 */
function roundsOf(source: Source, rows: readonly PushedRow[]): PushedRow[][] {
  if (!source.mutable) return [[...rows]];
  const seen = new Map<unknown, number>();
  const rounds: PushedRow[][] = [];
  for (const row of rows) {
    const id = row[source.eventId!]!;
    const name = id instanceof Uint8Array ? id.toHex() : id;
    const round = seen.get(name) ?? 0;
    seen.set(name, round + 1);
    (rounds[round] ??= []).push(row);
  }
  return rounds;
}

async function applyRounds(
  online: OnlineStore,
  program: ViewProgram,
  rounds: readonly PushedRow[][],
  arrivalUs: InstantUs,
): Promise<{ keyless: number; keys: number }> {
  let keyless = 0;
  let keys = 0;
  for (const [i, rows] of rounds.entries()) {
    const evaluated = evaluate(program, rows, arrivalUs + i);
    keyless += evaluated.keyless;
    keys += program.source.mutable
      ? await applyMutable(online, program, evaluated)
      : await applyToPages(online, program, evaluated.columns, appendOnly(evaluated));
  }
  return { keyless, keys };
}

/** Rows as a view sees them. */
interface Evaluated {
  readonly arrivalUs: InstantUs;
  readonly timeUs: readonly InstantUs[];
  readonly ids: BigInt64Array;
  /** Null where a part is. */
  readonly keys: readonly (Uint8Array | null)[];
  readonly keyless: number;
  readonly retract: readonly boolean[];
  /** Whether the view's filter takes the row. */
  readonly taken: readonly boolean[];
  /** The layout's columns. */
  readonly columns: readonly Column[];
}

function evaluate(
  program: ViewProgram,
  rows: readonly PushedRow[],
  arrivalUs: InstantUs,
): Evaluated {
  const { source, view, keyDtypes, filter, rowProgram } = program;
  const batch = batchOfRows(source, rows, arrivalUs);
  const keyColumns = view.keys.map((name) => batch.columns[name]!);
  const keys = rows.map((_, row) => {
    const parts = keyColumns.map((column) => scalarAt(column, row));
    return parts.includes(null) ? null : encodeKey(parts, keyDtypes);
  });
  const taken = filter?.run(batch)[0];
  return {
    arrivalUs,
    timeUs: rows.map((row) => timeOf(source, row)),
    ids: eventIds(source, batch),
    keys,
    keyless: keys.filter((key) => key === null).length,
    retract: rows.map((row) => row[OP] === 'retract'),
    taken: rows.map((_, row) => taken === undefined || scalarAt(taken, row) === true),
    columns: rowProgram.run(batch),
  };
}

function appendOnly({ keys, timeUs, arrivalUs, ids, retract, taken }: Evaluated): Change[] {
  return keys.flatMap((key, i) =>
    key === null || (!retract[i] && !taken[i])
      ? []
      : [{ key, timeUs: timeUs[i]!, arrivalUs, id: ids[i]!, row: retract[i] ? -1 : i }],
  );
}

/** Out of the old place, into the new, then the index: see row_index.ts. The ids are distinct. */
async function applyMutable(
  online: OnlineStore,
  program: ViewProgram,
  { keys, timeUs, arrivalUs, ids, retract, taken, columns }: Evaluated,
): Promise<number> {
  let written = 0;
  let left = keys.map((_, i) => i);
  while (left.length > 0) {
    const some = left.map((i) => ids[i]!);
    const before = await readPlaces(online, program, some);
    const places: RowPlace[] = left.map((i) => ({
      key: retract[i] || !taken[i] ? null : keys[i]!,
      timeUs: timeUs[i]!,
      arrivalUs,
    }));
    const changes = left.flatMap((i, at): Change[] => {
      const [old, next] = [before[at], places[at]!];
      const change = { arrivalUs, id: ids[i]! };
      const put = next.key !== null && { ...change, key: next.key, timeUs: next.timeUs, row: i };
      const out = (place: RowPlace) =>
        place.key === null ? [] : [{ ...change, key: place.key, timeUs: place.timeUs, row: -1 }];
      if (old === undefined) return put ? [put] : [];
      const moved = !samePlace(old, next);
      // A later arrival is there already: what this one may have put in before it was cut off goes.
      if (!stands(next, old)) return moved && next.arrivalUs < old.arrivalUs ? out(next) : [];
      return [...(moved ? out(old) : []), ...(put ? [put] : [])];
    });
    written += await applyToPages(online, program, columns, changes);
    const lost = await writePlaces(online, program, some, before, places);
    left = lost.map((at) => left[at]!);
  }
  return written;
}

function samePlace(a: RowPlace, b: RowPlace): boolean {
  if (a.key === null || b.key === null) return a.key === b.key;
  return a.timeUs === b.timeUs && Buffer.compare(a.key, b.key) === 0;
}
