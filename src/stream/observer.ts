/** What a worker tells of itself as it goes: for metrics, a live table and tests. Nothing of it is needed for correctness. */
import type { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';

/** Where it happened. */
export interface StreamPlace {
  readonly source: string;
  readonly partition: string;
}

/** All methods are called synchronously and must be quick; one that is absent is not called. */
export interface StreamObserver {
  assigned?(place: StreamPlace): void;
  revoked?(place: StreamPlace): void;
  /** Records were read; `lag` are the positions that lie after them. Read again after a rewind, they are told again. */
  read?(
    batch: StreamPlace & {
      readonly records: number;
      readonly rows: number;
      readonly late: number;
      readonly dead: number;
      readonly lag: bigint;
    },
  ): void;
  /** A view's pages have all rows up to here. */
  applied?(
    batch: StreamPlace & {
      readonly view: string;
      readonly viewId: string;
      readonly rows: number;
      /** Pages that are others now. */
      readonly keys: number;
      /** Rows without a key, which belong to nobody. */
      readonly keyless: number;
      readonly newestUs: InstantUs | null;
      readonly arrivalUs: InstantUs;
      readonly appliedUs: InstantUs;
    },
  ): void;
  /** History has taken rows. */
  committed?(
    batch: StreamPlace & {
      readonly rows: number;
      readonly late: number;
      readonly dead: number;
      readonly ms: number;
    },
  ): void;
  /** Rows that a view could not take: history has them, its pages lack them until the cause is gone and it is reconciled. */
  failed?(
    place: StreamPlace & {
      readonly view: string;
      readonly rows: number;
      readonly error: SamewiseError;
    },
  ): void;
  /** Keys have left the pages of a view: nothing happened to them for long. */
  evicted?(what: { readonly view: string; readonly keys: number }): void;
  /** Something is tried again. */
  retried?(what: {
    readonly source: string;
    readonly what: string;
    readonly attempt: number;
    readonly error: SamewiseError;
  }): void;
  /** The log no longer keeps what `reader` (a view id, or `history`) has not read: `from` to `first` − 1. */
  lost?(
    place: StreamPlace & { readonly reader: string; readonly from: bigint; readonly first: bigint },
  ): void;
}
