/** A plan: what applying the definitions would do. Plain data; nothing has happened yet. */
import type { Where } from '../base/errors.ts';
import type { Change, Registered } from '../registry/contract.ts';

/** Current things whose values, or whose versions, change with something. */
export interface Touched {
  /** As `view:feature`. */
  readonly features: readonly string[];
  readonly views: readonly string[];
  readonly onDemandViews: readonly string[];
  readonly services: readonly string[];
  readonly models: readonly string[];
}

/** A change, and what it touches beside itself. */
export interface PlannedChange extends Change {
  readonly touches: Touched;
}

/** A version of a view whose pages have to be built from history. */
export interface Backfill {
  readonly view: string;
  readonly version: number;
  readonly source: string;
  /** Events to read, roughly; null: not known. */
  readonly rows: number | null;
  /** Bytes of pages to write, roughly; null: not known. */
  readonly bytes: number | null;
}

/** Something to know before applying; it stops nothing. */
export interface Warning {
  /** Stable, in the form `plan/what`. */
  readonly code: string;
  readonly message: string;
  readonly where: Where;
}

export interface Plan {
  /** The revision that the plan was made at; `apply` refuses any other. */
  readonly expectedHead: number;
  /** What is needed comes before what needs it. Empty: the definitions are as registered. */
  readonly changes: readonly PlannedChange[];
  readonly backfills: readonly Backfill[];
  readonly warnings: readonly Warning[];
  /** What `apply` stores. */
  readonly objects: readonly Omit<Registered, 'revision'>[];
}

/** What is known of a source without reading it whole; null: not known. */
export interface SourceFacts {
  readonly rows: number | null;
  /** Of a sample of its rows: how many there were, and how many of them repeat another one exactly. */
  readonly sample: { readonly rows: number; readonly repeated: number } | null;
}
