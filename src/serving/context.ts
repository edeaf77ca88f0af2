/** What the routes work with. */
import type { Clock } from '../base/clock.ts';
import type { FeatureView, Source } from '../model/definitions.ts';
import type { OfflineStore } from '../offline/contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import type { Registry } from '../registry/contract.ts';
import type { Ask } from './ask.ts';
import type { Definitions } from './definitions.ts';
import type { PushEvents } from './events_route.ts';
import type { Explain } from './explain_route.ts';
import type { FeatureLog } from './feature_log.ts';
import type { Metrics } from './metrics.ts';
import type { PageSource } from './pages.ts';
import type { DataRoots } from './paths.ts';
import type { RequestIds } from './request_ids.ts';
import type { Trainings } from './training.ts';

/** Plans and applies definitions that came over HTTP, beside what is registered; the same ones again change nothing. */
export type DefineFeature = (
  definitions: { readonly source: Source; readonly view: FeatureView },
  author: string,
) => Promise<{ readonly version: number; readonly created: boolean }>;

/** Takes what no client is told of a request that failed. */
export type OnFailure = (
  error: unknown,
  request: { readonly id?: string; readonly method: string; readonly url: string },
) => void;

/** Brings history into the online store, of the named views or of all; one such run goes on at a time. */
export type Materialize = (request: {
  readonly views: readonly string[] | null;
  /** All of history, not only what is new. */
  readonly full: boolean;
}) => Promise<void>;

export interface Context {
  readonly registry: Registry;
  readonly online: OnlineStore;
  readonly offline: OfflineStore;
  readonly clock: Clock;
  readonly definitions: Definitions;
  /** The online store, or what keeps some of its pages. */
  readonly pages: PageSource;
  /** What every protocol reads vectors with. */
  readonly ask: Ask;
  /** What every protocol makes training sets with. */
  readonly trainings: Trainings;
  readonly metrics: Metrics;
  readonly requestIds: RequestIds;
  readonly defineFeature: DefineFeature;
  readonly pushEvents: PushEvents;
  readonly materialize: Materialize;
  readonly explain: Explain;
  /** Null: no vector is logged. */
  readonly featureLog: FeatureLog | null;
  /** Metrics that others keep, in Prometheus' text format. */
  readonly moreMetrics: () => Promise<string>;
  /** What happened that no client is told: the error behind a 5xx. */
  readonly onFailure: OnFailure;
  readonly data: DataRoots;
  /** Folder for training sets made by requests; exists. */
  readonly outputDir: string;
}
