/** The registry: what is defined, in append-only revisions, and what ran. */
import type { InstantUs } from '../base/time.ts';
import type { Definition, DefinitionKind } from '../model/definitions.ts';
import type { Comparison, HealthRecords, LevelChange, ServiceLevel } from './health_contract.ts';

/** One version of one object. `version` counts from 1 per (kind, name); `fingerprint` is the hash of its meaning. */
export interface Registered<D extends Definition = Definition> {
  readonly kind: DefinitionKind;
  readonly name: string;
  readonly version: number;
  readonly fingerprint: string;
  readonly definition: D;
  /** What it refers to, pinned: `kind/name` → version. A service pins its views, a view its source and entity. */
  readonly pins: Readonly<Record<string, number>>;
  /** Revision that made it. */
  readonly revision: number;
  /** Current: what the definitions say now. Pinned: an older version that a current or kept service names. Retired: neither. */
  readonly state: 'current' | 'pinned' | 'retired';
}

/** What happens to an object: `describe` keeps its version, `remove` takes it out of the current definitions. */
export type ChangeKind = 'create' | 'new-version' | 'describe' | 'remove';

/** One line of a diff: `describe` changes only description, owner, tags or freshness and makes no new version. */
export interface Change {
  readonly change: ChangeKind;
  readonly kind: DefinitionKind;
  readonly name: string;
  readonly before: number | null;
  readonly after: number | null;
  /** Fields that differ, as paths with both values printed. */
  readonly fields: readonly {
    readonly path: string;
    readonly before: string | null;
    readonly after: string | null;
  }[];
}

/** One step of the registry's history; never changed once written. */
export interface Revision {
  readonly number: number;
  readonly author: string;
  readonly atUs: InstantUs;
  readonly message: string;
  readonly changes: readonly Change[];
}

/** A run that materialises a view version; times in microseconds since 1970. */
export interface Job {
  readonly id: string;
  readonly kind: string;
  readonly view: string;
  readonly version: number;
  readonly status: 'running' | 'succeeded' | 'failed' | 'interrupted';
  readonly startedUs: InstantUs;
  readonly finishedUs: InstantUs | null;
  readonly rows: number;
  readonly bytes: number;
  readonly error: string | null;
}

/** A feature that a search found, as the current definitions have it. */
export interface FeatureHit {
  /** `view:feature`. */
  readonly ref: string;
  readonly view: string;
  readonly feature: string;
  /** Empty for features of an on-demand view. */
  readonly entity: string;
  readonly dtype: string;
  readonly owner: string;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly version: number;
}

/** The way to the registry's store. */
export interface Connection {
  /** While it is not, what is live stays what it was when it was lost, and everything else is refused. */
  readonly connected: boolean;
  /** How often the way was lost. */
  readonly lost: number;
}

/** All that a registry knows, for another one to take over; turns are not of it: whoever is first takes the next. */
export interface Everything {
  /** Oldest first. */
  readonly revisions: readonly Revision[];
  /** In the order of their making. */
  readonly objects: readonly Registered[];
  /** Oldest first. */
  readonly jobs: readonly Job[];
  readonly comparisons: readonly Comparison[];
  readonly serviceLevels: readonly ServiceLevel[];
  readonly levelChanges: readonly LevelChange[];
}

/**
 * The one place where definitions are kept. Failures of the store are coded `registry/…` errors. A store over a network may be lost and
 * come back: `head`, `load` without retired ones and `search` then answer from what was there, so that serving goes on.
 */
export interface Registry extends HealthRecords {
  /**
   * Number of the newest revision; 0 when empty. Cheap: callers poll it to know whether what they hold is stale. Of another
   * process's revision it may know a moment later, of its own at once; `load` gives no less than what it knows of.
   */
  head(): Promise<number>;
  /** Every version that is current or pinned; with `retired`, all there ever were. In the order of their making. */
  load(options?: { readonly retired?: boolean }): Promise<Registered[]>;
  /** One object; without `version` the current one. */
  get(kind: DefinitionKind, name: string, version?: number): Promise<Registered | undefined>;
  /**
   * Atomically: checks that `expectedHead` still is the head (else `registry/stale-plan`, which says who changed what since), stores the new and changed
   * objects and states, and appends the revision. All or nothing. A version keeps its fingerprint for ever
   * (else `registry/version-conflict`).
   */
  apply(request: {
    readonly expectedHead: number;
    readonly author: string;
    readonly atUs: InstantUs;
    readonly message: string;
    readonly changes: readonly Change[];
    /** New versions, and existing ones whose description, pins or state change. */
    readonly objects: readonly Omit<Registered, 'revision'>[];
  }): Promise<Revision>;
  /** Newest first. */
  revisions(limit?: number): Promise<Revision[]>;
  /**
   * Features of the current views and on-demand views whose name, view, entity, description, tags or owner hold every
   * word of `text` (prefixes count); best first. No words: all, by reference. `tag` is `key` or `key=value`.
   */
  search(
    text: string,
    filter?: { entity?: string; owner?: string; tag?: string },
    limit?: number,
  ): Promise<FeatureHit[]>;
  /** Notes a job as running. An id is used once (else `registry/job-exists`). */
  startJob(job: Pick<Job, 'id' | 'kind' | 'view' | 'version' | 'startedUs'>): Promise<void>;
  /** Throws `registry/unknown-job`. */
  updateJob(
    id: string,
    change: Partial<Pick<Job, 'status' | 'finishedUs' | 'rows' | 'bytes' | 'error'>>,
  ): Promise<void>;
  /** Newest first. */
  jobs(filter?: { view?: string; status?: Job['status'] }, limit?: number): Promise<Job[]>;
  /** How the store is reached now. */
  connection(): Connection;
  /**
   * Calls `moved` soon after each revision that a store tells of, whoever applied it. Not every store tells: ask for the head now and
   * then all the same.
   */
  onMoved(moved: () => void): void;
  /** All there is, as of one moment. */
  everything(): Promise<Everything>;
  /** Atomically: takes over what another registry knows, revisions and versions by their numbers. Throws `registry/not-empty`. */
  takeOver(everything: Everything): Promise<void>;
  close(): Promise<void>;
}
