import type { DurationText } from '../base/duration.ts';
import { inContext } from '../base/errors.ts';
import {
  type BatchLocation,
  DEFAULT_LATENESS_US,
  DEFAULT_STREAM,
  type Source,
  type StreamLocation,
} from '../model/index.ts';
import type { Dtype } from '../types/dtype.ts';
import {
  type Columns,
  type DescribedOptions,
  describedOf,
  durationOf,
  schemaOf,
} from './described.ts';
import { type Handle, handle } from './handle.ts';
import { type FeatureRef, lookupOf } from './use.ts';

/** Names of the columns whose type is of one of these kinds. */
export type ColumnsOfKind<C extends Columns, Kind extends Dtype['kind']> = {
  [P in keyof C]: C[P]['kind'] extends Kind ? P : never;
}[keyof C] &
  string;

/** Features of other views by the name of the column that each gives. */
export type Lookups = Readonly<Record<string, FeatureRef<any>>>;

/** The columns that look-ups give. */
export type LookedUp<L extends Lookups> = {
  readonly [P in keyof L]: L[P] extends FeatureRef<infer D> ? D : never;
};

export interface SourceOptions<C extends Columns, L extends Lookups = Record<never, never>>
  extends DescribedOptions {
  /** Every column that features, keys and times use, with its type; files may hold more. */
  readonly columns: C;
  /**
   * Columns that other views give: what the feature was at the event's own time, out of what had arrived before the event.
   * Features, filters and keys use them like any other column. `on` says which column holds which part of the key.
   *
   *     lookups: { city: profile.on({ user_id: 'customer_id' }).features.city }
   */
  readonly lookups?: L;
  /** When the event happened: a timestamp or date column, never null. */
  readonly eventTime: ColumnsOfKind<C, 'timestamp' | 'date'>;
  /**
   * What makes an event one event, however often it is delivered. Without it the row's content does: identical rows are
   * one event.
   */
  readonly eventId?: ColumnsOfKind<
    C,
    'int32' | 'int64' | 'timestamp' | 'date' | 'string' | 'bytes'
  >;
  /** When the store could first know the event; without it, when it happened. `as-served` training needs it. */
  readonly arrivalTime?: ColumnsOfKind<C, 'timestamp'>;
  /** A column that holds `upsert` or `retract`; without it all are upserts. */
  readonly op?: ColumnsOfKind<C, 'string'>;
  /** A table under change: `eventId` alone identifies a row, and the later arrival replaces the earlier one. */
  readonly mutable?: boolean;
  /** How late an event may arrive, one day by default: one that comes later is in history alone, until it is reconciled. */
  readonly lateness?: DurationText;
  /** Where its history lies: `parquet(…)`, `csv(…)`, `json(…)`, `sql(…)`. */
  readonly batch?: BatchLocation;
  /** How its events come in: `stream({ … })`. Without it they are pushed. */
  readonly stream?: StreamLocation;
}

export interface SourceHandle<C extends Columns, Own extends Columns = Columns>
  extends Handle<Source> {
  /** Those that features, keys and filters use: with what look-ups give. */
  readonly columns: C;
  /** Those of the events themselves. */
  readonly own: Own;
}

/**
 * A stream of events of one shape, with its history.
 *
 *     const transactions = source({
 *       name: 'transactions',
 *       columns: { tx_id: int64, at: timestamp, customer_id: int64, amount: float64 },
 *       eventTime: 'at', eventId: 'tx_id', lateness: '1h',
 *       batch: parquet('data/transactions/*.parquet'),
 *     });
 */
export function source<C extends Columns, L extends Lookups = Record<never, never>>(
  options: SourceOptions<C, L>,
): SourceHandle<C & LookedUp<L>, C> {
  const lookedUp = Object.entries(options.lookups ?? {}).map(([name, ref]) =>
    inContext({ source: options.name, field: `lookups.${name}` }, () => lookupOf(name, ref)),
  );
  const definition: Source = {
    kind: 'source',
    ...describedOf(options),
    columns: schemaOf(options.columns),
    lookups: lookedUp.map(({ lookup }) => lookup),
    eventTime: options.eventTime,
    eventId: options.eventId ?? null,
    arrivalTime: options.arrivalTime ?? null,
    op: options.op ?? null,
    mutable: options.mutable ?? false,
    latenessUs: durationOf(options.lateness) ?? DEFAULT_LATENESS_US,
    batch: options.batch ?? null,
    stream: options.stream ?? DEFAULT_STREAM,
  };
  const columns = {
    ...options.columns,
    ...Object.fromEntries(lookedUp.map(({ lookup: { name, dtype } }) => [name, dtype])),
  } as C & LookedUp<L>;
  const needs = lookedUp.map(({ needs }) => needs);
  return handle({ columns, own: options.columns }, definition, needs);
}

export interface FilesOptions {
  /** Folders called `column=value` give columns. */
  readonly hivePartitioned?: boolean;
}

/** Parquet files: a file, a folder or a glob, relative to the project, or a URL. */
export function parquet(path: string, options: FilesOptions = {}): BatchLocation {
  return { type: 'parquet', path, hivePartitioned: options.hivePartitioned ?? false };
}

/** CSV files with a header line: a file, a folder or a glob, relative to the project, or a URL. */
export function csv(path: string, options: FilesOptions = {}): BatchLocation {
  return { type: 'csv', path, hivePartitioned: options.hivePartitioned ?? false };
}

/** Files of JSON lines: a file, a folder or a glob, relative to the project, or a URL. */
export function json(path: string, options: FilesOptions = {}): BatchLocation {
  return { type: 'json', path, hivePartitioned: options.hivePartitioned ?? false };
}

/**
 * A query in the offline engine's SQL over files. Its text is part of the source's meaning.
 *
 *     batch: sql(`select * from 'data/a/*.parquet' where country = 'DE'`)
 */
export function sql(query: string): BatchLocation {
  return { type: 'query', sql: query };
}

export interface StreamOptions {
  /** Topic of the event log; by default the source's own name. */
  readonly topic?: string;
  /** What a record's value is; `json` by default. `avro` and `protobuf` need a schema registry, `debezium` is a table under change data capture. */
  readonly format?: StreamLocation['format'];
  /** Protobuf only: the full name of the message type. */
  readonly message?: string;
  /** How far ahead of its arrival an event's time may be, one day by default; beyond it an event is a dead letter. */
  readonly maxAhead?: DurationText;
  /** When a push is answered: when it is durable (the default), or when reads see it. */
  readonly acknowledge?: StreamLocation['acknowledge'];
}

/**
 * How a source's events come in. The event log itself (embedded, Kafka, Kinesis) is named by the project's configuration.
 *
 *     stream: stream({ topic: 'payments.v2', format: 'avro' })
 */
export function stream(options: StreamOptions): StreamLocation {
  return {
    topic: options.topic ?? DEFAULT_STREAM.topic,
    format: options.format ?? DEFAULT_STREAM.format,
    message: options.message ?? DEFAULT_STREAM.message,
    maxAheadUs: durationOf(options.maxAhead) ?? DEFAULT_STREAM.maxAheadUs,
    acknowledge: options.acknowledge ?? DEFAULT_STREAM.acknowledge,
  };
}
