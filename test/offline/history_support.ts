/** A source of ticks whose history a stream writes, and what scans make of it. */
import assert from 'node:assert/strict';
import {
  definitionOf,
  entity,
  featureView,
  float64,
  lastK,
  source,
  string,
  timestamp,
} from '../../src/dsl/index.ts';
import { catalogOf, compileView, type Member, type Source } from '../../src/model/index.ts';
import type { OfflineStore } from '../../src/offline/contract.ts';
import type { DuckdbStore } from '../../src/offline/duckdb/index.ts';
import type { Checkpoint, HistoryCommit } from '../../src/offline/history_contract.ts';
import type { Field } from '../../src/types/batch.ts';
import { columnOf, scalarAt } from '../../src/types/column.ts';
import { decodeKey } from '../../src/types/key.ts';
import type { Delivered } from '../oracle/training.ts';

const user = entity({ name: 'user', key: { user: string } });
const ticks = source({
  name: 'ticks',
  columns: { id: string, at: timestamp, user: string, price: float64 },
  eventTime: 'at',
  eventId: 'id',
});
const prices = featureView({
  name: 'prices',
  entity: user,
  source: ticks,
  features: ({ price }) => ({ newest: lastK(price, 5).lifetime() }),
});

export const streamCatalog = catalogOf([
  definitionOf(user),
  definitionOf(ticks),
  definitionOf(prices),
]);

/** The newest prices of the label's user. */
export const streamMembers: readonly Member[] = [
  { view: 'prices', features: null, keys: [{ from: 'column', column: 'user' }], as: null },
];

export interface Tick {
  readonly position: bigint;
  readonly user: string;
  readonly timeUs: number;
  readonly price: number;
  readonly retract?: boolean;
}

/** An event `seconds` after midnight of the first day of 2024. */
export function tick(position: bigint, user: string, seconds: number, price: number): Tick {
  return { position, user, timeUs: Date.UTC(2024, 0, 1) * 1000 + seconds * 1_000_000, price };
}

/** A commit of these events; they arrive at their positions. */
export function commitOf(
  partition: string,
  after: Checkpoint | null,
  events: readonly Tick[],
  to: bigint = events.at(-1)?.position ?? 0n,
): HistoryCommit {
  const source = streamCatalog.sources.ticks!;
  const values: Record<string, (event: Tick) => string | number> = {
    id: ({ position }) => `${partition}/${position}`,
    at: ({ timeUs }) => timeUs,
    user: (event) => event.user,
    price: ({ price }) => price,
  };
  const columns = Object.fromEntries(
    source.columns.map(({ name, dtype }) => [name, columnOf(dtype, events.map(values[name]!))]),
  );
  const arrival = (position: bigint): number => Number(position % 1_000_000n);
  return {
    source,
    partition,
    after,
    to: { position: to, arrivalUs: arrival(to), newestUs: null },
    rows: { length: events.length, columns },
    arrivalUs: Float64Array.from(events, ({ position }) => arrival(position)),
    positions: events.map(({ position }) => position),
    retract: events.some(({ retract }) => retract)
      ? Uint8Array.from(events, ({ retract }) => (retract ? 1 : 0))
      : null,
    late: 0,
    deadLetters: [],
  };
}

/** Commits deliveries as the first ones of a partition. */
export async function commitRows(
  { historyLog }: DuckdbStore,
  source: Source,
  partition: string,
  deliveries: readonly Delivered[],
): Promise<void> {
  const column = ({ name, dtype }: Field) =>
    columnOf(
      dtype,
      deliveries.map(({ row }) => row[name] ?? null),
    );
  const columns = Object.fromEntries(source.columns.map((field) => [field.name, column(field)]));
  const added = await historyLog.commit({
    source,
    partition,
    after: null,
    to: { position: BigInt(deliveries.length), arrivalUs: 0, newestUs: null },
    rows: { length: deliveries.length, columns },
    arrivalUs: Float64Array.from(deliveries, ({ a }) => a),
    positions: deliveries.map((_, i) => BigInt(i)),
    retract: Uint8Array.from(deliveries, ({ retract }) => (retract ? 1 : 0)),
    late: 0,
    deadLetters: [],
  });
  assert.ok(added);
}

/** The prices of each user in the order of time, up to positions by partition. */
export async function eventsIn(
  store: OfflineStore,
  upTo: Readonly<Record<string, bigint>> | null = null,
): Promise<Record<string, number[]>> {
  const { keyDtypes } = compileView(streamCatalog, 'prices');
  const found: Record<string, number[]> = {};
  const request = {
    catalog: streamCatalog,
    view: 'prices',
    shard: null,
    changedSinceUs: null,
    keys: null,
    upTo: upTo && new Map(Object.entries(upTo)),
  };
  for await (const { keys, starts, events } of store.history(request))
    keys.forEach((key, i) => {
      const rows = Array.from({ length: starts[i + 1]! - starts[i]! }, (_, row) =>
        Number(scalarAt(events.columns[0]!, starts[i]! + row)),
      );
      if (rows.length > 0) found[String(decodeKey(key, keyDtypes)[0])] = rows;
    });
  return found;
}
