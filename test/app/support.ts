/** A project of one entity, one source and two views, over a history that lies in an array. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manualClock } from '../../src/base/clock.ts';
import { US_PER_DAY } from '../../src/base/time.ts';
import {
  avg,
  collect,
  count,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  source,
  timestamp,
} from '../../src/dsl/index.ts';
import {
  type Catalog,
  catalogOf,
  compileView,
  type ViewProgram,
  validateCatalog,
} from '../../src/model/index.ts';
import type { HistoryRequest, KeyedEvents, OfflineStore } from '../../src/offline/contract.ts';
import type { HistoryLog } from '../../src/offline/history_contract.ts';
import type { OnlineStore } from '../../src/online/contract.ts';
import { openLmdbStore } from '../../src/online/lmdb.ts';
import { applyPlan, preparePlan } from '../../src/plan/index.ts';
import type { Registry } from '../../src/registry/contract.ts';
import { openSqliteRegistry } from '../../src/registry/sqlite.ts';
import {
  type Changes,
  dumpEvents,
  type Events,
  nextBlock,
  type Resolved,
  resolveHistory,
} from '../../src/timeline/index.ts';
import { columnOf, scalarAt } from '../../src/types/column.ts';
import { encodeKey } from '../../src/types/key.ts';

/** One delivery of an event. */
export interface Row {
  readonly customer: number;
  readonly t: number;
  readonly id: number;
  readonly amount: number | null;
  readonly retract?: boolean;
}

export function definitions(windowDays = 7): Catalog {
  const customer = entity({ name: 'customer', key: { customer_id: int64 } });
  const payments = source({
    name: 'payments',
    columns: { id: int64, at: timestamp, customer_id: int64, amount: float64 },
    eventTime: 'at',
    eventId: 'id',
    lateness: '1h',
  });
  const spending = featureView({
    name: 'spending',
    entity: customer,
    source: payments,
    features: ({ amount }) => ({
      n: count().over('1d'),
      mean: avg(amount).over(`${windowDays}d`),
    }),
  });
  const latest = featureView({
    name: 'latest',
    entity: customer,
    source: payments,
    features: ({ amount }) => ({ amount }),
  });
  const service = featureService({ name: 'all', features: [spending, latest] });
  const catalog = catalogOf(collect({ customer, payments, spending, latest, service }));
  validateCatalog(catalog);
  return catalog;
}

export function keyOf(customer: number): Uint8Array {
  return encodeKey([BigInt(customer)], [int64]);
}

/** The resolved events of one customer for a view of `definitions()`. */
export function eventsOf(rows: readonly Row[], customer: number, program: ViewProgram): Resolved {
  const own = rows
    .filter((row) => row.customer === customer)
    .sort((x, y) => x.t - y.t || x.id - y.id);
  const changes: Changes = {
    length: own.length,
    timeUs: Float64Array.from(own, (row) => row.t),
    arrivalUs: null,
    id: BigInt64Array.from(own, (row) => BigInt(row.id)),
    columns: program.layout.columns.map((dtype) =>
      columnOf(
        dtype,
        own.map((row) => row.amount),
      ),
    ),
    retract: Uint8Array.from(own, (row) => (row.retract ? 1 : 0)),
  };
  return resolveHistory(false, changes);
}

export interface World {
  readonly registry: Registry;
  readonly online: OnlineStore;
  readonly offline: OfflineStore;
  readonly history: Pick<HistoryLog, 'state'>;
  readonly clock: ReturnType<typeof manualClock>;
  /** The history; tests change it. */
  rows: Row[];
  /** Called before each batch of history is given. */
  beforeBatch: (request: HistoryRequest) => Promise<void>;
  /** Applies the definitions. */
  apply(catalog: Catalog): Promise<void>;
  program(view: string): ViewProgram;
  /** What is stored of a customer: events by time and id, for comparison. */
  stored(view: string, customer: number, program?: ViewProgram): Promise<unknown>;
  /** The same form of what history says. */
  expected(view: string, customer: number, program?: ViewProgram): unknown;
  close(): Promise<void>;
}

const START = 1_700_000_000_000_000;

/** `n` payments of `customers` customers, one a second. */
export function payments(n: number, customers: number, from = 0): Row[] {
  return Array.from({ length: n }, (_, i) => ({
    customer: (i * 7919) % customers,
    t: START + (from + i) * 1e6,
    id: from + i,
    amount: i % 11 === 0 ? null : i / 4,
  }));
}

export async function world(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'samewise-app-'));
  const registry = await openSqliteRegistry(join(folder, 'registry.db'));
  const online = await openLmdbStore(join(folder, 'online'));
  const clock = manualClock(START + 400 * US_PER_DAY);
  let catalog = definitions();
  const here: World = {
    registry,
    online,
    clock,
    history: {
      state: async () => ({ version: 0, partitions: new Map(), files: 0, bytes: 0 }),
    },
    rows: [],
    beforeBatch: async () => {},
    offline: {
      history: (request: HistoryRequest) => history(here, request),
      estimate: async () => ({
        rows: here.rows.length,
        bytes: here.rows.length * 32,
        newestUs: here.rows.reduce((newest, row) => Math.max(newest, row.t), 0),
      }),
    } as unknown as OfflineStore,
    apply: async (next) => {
      catalog = next;
      const plan = await preparePlan(registry, next);
      await applyPlan(registry, plan, { author: 'test', message: '', clock });
    },
    program: (view) => compileView(catalog, view),
    stored: async (view, customer, program = here.program(view)) => {
      const page = { view: program.id, key: keyOf(customer) };
      const [head] = await online.heads([page]);
      if (head === undefined) return null;
      const numbers = Array.from({ length: nextBlock(program.layout, head.bytes) }, (_, i) => i);
      const blocks = await online.blocks(page, numbers);
      const events = dumpEvents(program.layout, { head: head.bytes, block: (n) => blocks[n] });
      // A page that holds nothing but what was taken away says what no page says.
      return events.length === 0 ? null : plain(events);
    },
    expected: (view, customer, program = here.program(view)) => {
      const { events } = eventsOf(here.rows, customer, program);
      return events.length === 0 ? null : plain(events);
    },
    close: async () => {
      await online.close();
      await registry.close();
      rmSync(folder, { recursive: true });
    },
  };
  return here;
}

function plain(events: Events): unknown {
  return Array.from({ length: events.length }, (_, i) => [
    events.timeUs[i],
    (events.arrivalUs ?? events.timeUs)[i],
    events.id[i],
    ...events.columns.map((column) => scalarAt(column, i)),
  ]);
}

async function* history(here: World, request: HistoryRequest): AsyncIterable<KeyedEvents> {
  const program = compileView(request.catalog, request.view);
  const rows = here.rows;
  const { shard, changedSinceUs, keys } = request;
  const asked = keys === null ? null : new Set(keys.map((key) => key.toHex()));
  const customers = [...new Set(rows.map((row) => row.customer))].filter(
    (customer) =>
      (shard === null || customer % shard.count === shard.index) &&
      (asked === null || asked.has(keyOf(customer).toHex())) &&
      (changedSinceUs === null ||
        rows.some((row) => row.customer === customer && row.t >= changedSinceUs)),
  );
  for (let i = 0; i < customers.length; i += 10) {
    const some = customers.slice(i, i + 10);
    const parts = some.map((customer) => eventsOf(rows, customer, program));
    await here.beforeBatch(request);
    request.signal?.throwIfAborted();
    yield joined(some, parts);
  }
}

function joined(customers: readonly number[], resolved: readonly Resolved[]): KeyedEvents {
  const parts = resolved.map(({ events }) => events);
  const starts = new Int32Array(parts.length + 1);
  parts.forEach((part, i) => {
    starts[i + 1] = starts[i]! + part.length;
  });
  const all = <T>(of: (part: Events, row: number) => T): T[] =>
    parts.flatMap((part) => Array.from({ length: part.length }, (_, row) => of(part, row)));
  return {
    keys: customers.map(keyOf),
    starts,
    tombstones: new Map(
      resolved.flatMap(({ tombstones }, i) =>
        tombstones.has(0) ? [[i, tombstones.get(0)!] as const] : [],
      ),
    ),
    events: {
      length: starts.at(-1)!,
      timeUs: Float64Array.from(all((part, row) => part.timeUs[row]!)),
      arrivalUs: null,
      id: BigInt64Array.from(all((part, row) => part.id[row]!)),
      columns: parts[0]!.columns.map((column, c) =>
        columnOf(
          column.dtype,
          all((part, row) => scalarAt(part.columns[c]!, row)),
        ),
      ),
    },
  };
}
