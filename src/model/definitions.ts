/**
 * The IR of everything people define: plain, frozen, serialisable data. The language (dsl/) makes it, the registry
 * keeps it, plan/ compares it, and every engine runs from it alone. References are by name; a registry pins versions.
 *
 * Meaning and description are apart: owner, description, tags and freshness never change a version (see fingerprint.ts).
 */
import type { AggregateSpec } from '../aggregate/aggregate.ts';
import type { Window } from '../aggregate/window.ts';
import type { DurationUs } from '../base/time.ts';
import type { Expr } from '../expr/ir.ts';
import type { Schema } from '../types/batch.ts';
import type { Dtype } from '../types/dtype.ts';

/** Version of this IR, in which fingerprints are made and definitions are stored that look nothing up. */
export const IR_VERSION = 1;
/** Version in which a source with lookups is stored: an older Samewise must refuse it, not leave them out. */
export const LOOKUPS_IR_VERSION = 2;
/** Version in which a view is stored one of whose features has fallbacks or a policy for stale values, for the same reason. */
export const FALLBACKS_IR_VERSION = 3;

export interface Described {
  /** Letters, digits and underscores, starting with a letter; unique within its kind. */
  readonly name: string;
  readonly description: string;
  readonly owner: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** A thing that features describe: its key columns, in order. */
export interface Entity extends Described {
  readonly kind: 'entity';
  readonly key: Schema;
}

/** Where a source's history lies. `path` is a file, a folder or a glob (relative to the project), or a URL. */
export type BatchLocation =
  | {
      readonly type: 'parquet' | 'csv' | 'json';
      readonly path: string;
      readonly hivePartitioned: boolean;
    }
  | { readonly type: 'query'; readonly sql: string };

/** How a source's events come in: every source may be pushed to; one may also be a topic of an event log that others fill. */
export interface StreamLocation {
  /** Topic of the event log; null: the source's own name. */
  readonly topic: string | null;
  /** What a record's value is. */
  readonly format: 'json' | 'avro' | 'protobuf' | 'debezium';
  /** Protobuf only: the full name of the message type. */
  readonly message: string | null;
  /** How far ahead of its arrival an event's time may be; beyond it is a dead letter. */
  readonly maxAheadUs: DurationUs;
  /** Whether a push is answered when it is durable, or when reads see it. */
  readonly acknowledge: 'durable' | 'applied';
}

/**
 * A column that each delivery of an event takes from another view: the feature as it was at the event's own time, out of
 * what had arrived before the delivery did. It is fixed from then on, like the arrival.
 */
export interface SourceLookup {
  readonly name: string;
  /** The feature's own. */
  readonly dtype: Dtype;
  /** A feature view whose own source looks nothing up. */
  readonly view: string;
  readonly feature: string;
  /** Source column of each key column of that view's entity, in its order; a null in one of them finds nothing. */
  readonly keys: readonly string[];
}

/** A stream of events of one shape. */
export interface Source extends Described {
  readonly kind: 'source';
  readonly columns: Schema;
  /** Columns that other views give; views use them like the source's own. */
  readonly lookups: readonly SourceLookup[];
  /** A timestamp or date column: when the event happened. Never null. */
  readonly eventTime: string;
  /** What makes an event one event; null: the hash of the row's content. */
  readonly eventId: string | null;
  /** A timestamp column: when the store could first know the event; null: a = t. */
  readonly arrivalTime: string | null;
  /** A string column that holds `upsert` or `retract`; null: all are upserts. */
  readonly op: string | null;
  /** A table under change: the id alone identifies a row and the later arrival replaces it. Needs `eventId`. */
  readonly mutable: boolean;
  /** How late an event may arrive: one that comes later is in history alone, until it is reconciled. */
  readonly latenessUs: DurationUs;
  readonly batch: BatchLocation | null;
  readonly stream: StreamLocation;
}

/** A feature of a use of a view. */
export interface FeatureUse {
  readonly member: Member;
  readonly feature: string;
}

/** What is answered instead of a feature whose promise of freshness is broken: nothing, or an error. */
export type WhenStale = 'null' | 'fail';

/** One feature of a view: an aggregate of an input over a window. A plain column is the aggregate `latest`. */
export interface Feature {
  readonly name: string;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly dtype: Dtype;
  readonly aggregate: AggregateSpec;
  /** Over the source's columns, looked-up ones too, `where` folded in (`case when p then x`); null only for count(). */
  readonly input: Expr | null;
  readonly window: Window;
  /** Stands in for every null, in the form of `scalarToJson`; null: none. */
  readonly default: unknown;
  /**
   * Features of other feature views, of the same type, the first of which that is present stands in where this one is not.
   * A column of their keys is a key column of this view's entity. Absent: none.
   */
  readonly fallbacks?: readonly FeatureUse[];
  /** Absent: a stale value is served, and marked. No part of the meaning. */
  readonly whenStale?: WhenStale;
  /** How old the newest applied event may be; null: the view's. */
  readonly freshnessUs: DurationUs | null;
}

/** Features of one entity computed from one source. */
export interface FeatureView extends Described {
  readonly kind: 'featureView';
  readonly entity: string;
  readonly source: string;
  /** Source column (of its own or looked up) of each entity key column, in the entity's order. */
  readonly keys: readonly string[];
  /** Row filter over the source's columns; null: all rows. */
  readonly where: Expr | null;
  readonly features: readonly Feature[];
  readonly freshnessUs: DurationUs | null;
  /** How long raw events are kept online; null: all. At least the longest window and delay plus the lateness. */
  readonly retentionUs: DurationUs | null;
  /**
   * How long a key stays online after its newest event; it is fetched from history when it is read later. Absent: for ever. No part
   * of the meaning.
   */
  readonly onlineForUs?: DurationUs;
}

/** Where a key part of a looked-up view comes from. */
export type KeyOrigin =
  /** A column of the label or request. */
  | { readonly from: 'column'; readonly column: string }
  /** A feature of another member of the same service or on-demand view: a look-up via it, at the same T. */
  | { readonly from: 'feature'; readonly member: Member; readonly feature: string };

/** A use of a view: which of its features, under which key, under which names. */
export interface Member {
  readonly view: string;
  /** Names of features; null: all, in the view's order. */
  readonly features: readonly string[] | null;
  /** One for each key column of the view's entity, in order. By default the column of the same name. Empty for on-demand views. */
  readonly keys: readonly KeyOrigin[];
  /** Prefix: the output is `as_feature`; null: the feature's own name. */
  readonly as: string | null;
}

export interface OnDemandFeature {
  readonly name: string;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly dtype: Dtype;
  /** Over `request.<column>` and `<alias>.<feature>`. */
  readonly expr: Expr;
  readonly default: unknown;
}

/** Features computed at read time from request data and other features, by the same program everywhere. */
export interface OnDemandView extends Described {
  readonly kind: 'onDemandView';
  readonly request: Schema;
  /** By alias; feature views or other on-demand views (without cycles). */
  readonly uses: Readonly<Record<string, Member>>;
  readonly features: readonly OnDemandFeature[];
}

/** What one model asks for, in order. */
export interface FeatureService extends Described {
  readonly kind: 'featureService';
  readonly model: string | null;
  readonly members: readonly Member[];
}

export type Definition = Entity | Source | FeatureView | OnDemandView | FeatureService;
export type DefinitionKind = Definition['kind'];

/** Everything that is defined, by kind and name. References inside it resolve inside it. */
export interface Catalog {
  readonly entities: Readonly<Record<string, Entity>>;
  readonly sources: Readonly<Record<string, Source>>;
  readonly featureViews: Readonly<Record<string, FeatureView>>;
  readonly onDemandViews: Readonly<Record<string, OnDemandView>>;
  readonly featureServices: Readonly<Record<string, FeatureService>>;
}
