/** The types of what goes in and comes out, from the definitions of a service. */
import type { FeatureServiceHandle, SourceHandle } from '../dsl/index.ts';
import type { Plain } from '../expr/index.ts';
import type {
  BoolType,
  BytesType,
  Dtype,
  Int64Type,
  ListType,
  StringType,
  VectorType,
} from '../types/dtype.ts';

/** A value as JavaScript has it: int64 is a bigint, a timestamp microseconds since 1970 UTC, a date days since then. */
export type Answered<D> = D extends BoolType
  ? boolean
  : D extends Int64Type
    ? bigint
    : D extends StringType
      ? string
      : D extends BytesType
        ? Uint8Array
        : D extends ListType<infer T>
          ? readonly (Answered<T> | null)[]
          : D extends VectorType
            ? Float32Array
            : D extends Dtype
              ? number
              : never;

/** What a service is asked with for one entity: its keys and request data. null: not known. */
export type Request<S> =
  S extends FeatureServiceHandle<infer I, any>
    ? { readonly [P in keyof I]: I[P] extends Dtype ? Plain<I[P]> | null : unknown }
    : never;

/** The values of a service, by output. */
export type Values<S> =
  S extends FeatureServiceHandle<any, infer O>
    ? { readonly [P in keyof O]: Answered<O[P]> | null }
    : never;

/** What stands behind a value: `PRESENT`, `NULL_VALUE`, `NOT_FOUND`, `OUTSIDE_MAX_AGE`, `DEFAULTED`, `FALLBACK_1` …, `STALE`, `TIMED_OUT`. */
export type ValueStatus = string;

/** One entity's features, all read at one time. */
export interface Answer<S> {
  readonly values: Values<S>;
  readonly statuses: { readonly [P in keyof Values<S>]: ValueStatus };
  /** When the newest event happened that was looked at, in microseconds since 1970 UTC; null: there is none, or it is computed. */
  readonly eventTimesUs: { readonly [P in keyof Values<S>]: number | null };
  /** The time that was read at: events strictly before it count. Microseconds since 1970 UTC. */
  readonly atUs: number;
  /** Version of the service that answered. */
  readonly version: number;
  /** Whether the deadline passed before all values were there: those that are missing have the status `TIMED_OUT`. */
  readonly partial: boolean;
  /** Features made from pages that are further behind than they promise. */
  readonly stale: readonly string[];
}

/** The columns of a source's event; null: not known. */
type Columns<S> =
  S extends SourceHandle<any, infer C>
    ? { readonly [P in keyof C]: C[P] extends Dtype ? Plain<C[P]> | null : unknown }
    : never;

/** An event of a source: all of its columns, or, to take one away, those that say which. */
export type PushedEvent<S> =
  | (Columns<S> & { readonly __op?: 'upsert' })
  | (Partial<Columns<S>> & { readonly __op: 'retract' });

/** What became of events that were pushed. */
export interface Pushed {
  readonly source: string;
  readonly rows: number;
  /** `durable`: they cannot be lost, and will be applied. `applied`: reads see them. */
  readonly state: 'durable' | 'applied';
}

/** Why a feature has its value. Of all that the server tells, what is the same for every feature; docs/serving.md has the rest. */
export interface Explained<V> {
  /** `view:feature`. */
  readonly feature: string;
  /** Events strictly before this counted. ISO 8601. */
  readonly at: string;
  /** As it is served. */
  readonly value: V;
  readonly status: ValueStatus;
  /** As history says. */
  readonly recomputed: V;
  /** Whether they are the same bits. */
  readonly agrees: boolean;
  /** Each feature that was read of a page: definition, window, events that counted, page and history. */
  readonly lookups: readonly ExplainedPart[];
  /** Each feature that was computed of these, with its expression and inputs. */
  readonly computations: readonly ExplainedPart[];
}

/** Named as the server names it; a whole number beyond 2^53 is a bigint. */
export interface ExplainedPart {
  readonly feature: string;
  readonly [told: string]: unknown;
}
