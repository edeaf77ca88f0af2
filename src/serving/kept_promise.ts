/** A feature's promise of freshness, as it was last seen to be kept. */
import { type InstantUs, US_PER_MINUTE } from '../base/time.ts';
import type { FeatureView } from '../model/definitions.ts';
import type { LevelState, ServiceLevel } from '../registry/health_contract.ts';

/** After so long without a look that was written nobody can say how it was meanwhile. */
export const UNSEEN_AFTER_US = 3 * US_PER_MINUTE;

export interface KeptPromise {
  readonly within_ms: number;
  /** As it was last seen. */
  readonly state: LevelState;
  readonly sinceUs: InstantUs | null;
  readonly lookedUs: InstantUs | null;
  readonly lag_ms: number | null;
}

/** The promise that holds for a feature, its own or else its view's; null: none does. */
export function keptPromise(
  view: FeatureView,
  version: number,
  featureName: string,
  levels: readonly ServiceLevel[],
  nowUs: InstantUs,
): KeptPromise | null {
  const own = view.features.find(({ name }) => name === featureName)?.freshnessUs ?? null;
  const withinUs = own ?? view.freshnessUs;
  if (withinUs === null) return null;
  const level = levels.find(
    (one) =>
      one.view === view.name &&
      one.version === version &&
      one.feature === (own === null ? null : featureName),
  );
  const within_ms = withinUs / 1000;
  if (level === undefined)
    return { within_ms, state: 'unknown', sinceUs: null, lookedUs: null, lag_ms: null };
  const { state, sinceUs, lookedUs, lag_ms } = level;
  return nowUs - lookedUs > UNSEEN_AFTER_US
    ? { within_ms, state: 'unknown', sinceUs: lookedUs, lookedUs, lag_ms: null }
    : { within_ms, state, sinceUs, lookedUs, lag_ms };
}
