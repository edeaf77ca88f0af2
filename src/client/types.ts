/** The types of what goes in and comes out, from the definitions of a service. */
import type { FeatureServiceHandle } from '../dsl/index.ts';
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
