/**
 * What is known of how well features are served, by whichever process looked: whether pages agree with history, and whether
 * features are as fresh as they promise. It is kept beside the definitions, so that every process can tell it.
 */
import type { InstantUs } from '../base/time.ts';

/** How a comparison came about: pages against history, or vectors that were served against history. */
export type ComparedBy = 'reconcile' | 'prove';

/** How far what is online agreed with history when it was last compared. */
export interface Comparison {
  readonly view: string;
  readonly version: number;
  readonly by: ComparedBy;
  /** When it was made. */
  readonly atUs: InstantUs;
  /** Keys (of `reconcile`) or values (of `prove`) that were compared. */
  readonly compared: number;
  /** Of these, how many differ and should not. */
  readonly different: number;
  /** Differences by cause; those that may be, such as `late`, are here alone. */
  readonly causes: Readonly<Record<string, number>>;
  /** Whatever the one who compares wants to find again the next time; at most some kilobytes. */
  readonly notes: string;
}

/** Fresh or stale against a promise; `unknown`: nobody looked, or nobody could tell. */
export type LevelState = 'fresh' | 'stale' | 'unknown';

/** Whose promise it is. */
export interface LevelOf {
  readonly view: string;
  readonly version: number;
  /** A feature with a promise of its own; null: the view. */
  readonly feature: string | null;
}

/** Whether a promise of freshness is kept. */
export interface ServiceLevel extends LevelOf {
  readonly state: LevelState;
  readonly sinceUs: InstantUs;
  /** For how long what is not in the pages had been waiting when it was looked at, in milliseconds; null: unknown. */
  readonly lag_ms: number | null;
  readonly lookedUs: InstantUs;
}

/** The state of a promise from `atUs` on. */
export interface LevelChange extends LevelOf {
  readonly atUs: InstantUs;
  readonly state: LevelState;
  readonly lag_ms: number | null;
}

export interface HealthRecords {
  /** The newest of each view, version and way; in the order of their names. */
  comparisons(): Promise<Comparison[]>;
  /** Takes the place of the one before of the same view, version and way. */
  putComparison(comparison: Comparison): Promise<void>;
  /** All promises that were ever looked at, by view, version and feature. */
  serviceLevels(): Promise<ServiceLevel[]>;
  /**
   * Atomically: says how promises stand now, adds what changed, and forgets changes from before `keepFromUs` and the oldest ones
   * beyond a hundred thousand.
   */
  putServiceLevels(
    levels: readonly ServiceLevel[],
    changes: readonly LevelChange[],
    keepFromUs: InstantUs,
  ): Promise<void>;
  /** Changes of a view's promises (null: of all views), oldest first. */
  levelChanges(view: string | null): Promise<LevelChange[]>;
  /**
   * Whether the caller is to do now what only one process at a time should do. True at most once until `nextUs`, whoever asks; a turn
   * that is set further ahead than `furthestUs` was set by a clock that was wrong, and holds nobody.
   */
  takeTurn(turn: {
    readonly name: string;
    readonly nowUs: InstantUs;
    readonly nextUs: InstantUs;
    readonly furthestUs: InstantUs;
  }): Promise<boolean>;
  /** Sets when the next turn is. */
  putTurn(name: string, nextUs: InstantUs): Promise<void>;
}
