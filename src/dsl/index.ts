/**
 * The language: what people import from `samewise` to define entities, sources, feature views, on-demand views and
 * feature services. Everything here returns frozen data and has no effect.
 */
export type { DurationText } from '../base/duration.ts';
export {
  coalesce,
  concat,
  greatest,
  jsFunction,
  least,
  literal,
  Value,
  when,
} from '../expr/index.ts';
export type { Definition } from '../model/index.ts';
export {
  bool,
  bytes,
  type Dtype,
  date,
  float32,
  float64,
  int32,
  int64,
  list,
  string,
  timestamp,
  vector,
} from '../types/dtype.ts';
export * from './aggregates.ts';
export type { Values } from './columns.ts';
export { type Computed, computed } from './computed.ts';
export type { Columns, DescribedOptions } from './described.ts';
export { type EntityHandle, type EntityOptions, entity } from './entity.ts';
export { type Aggregation, type Latest, latest, type SinceUnit } from './feature.ts';
export {
  type FeatureServiceHandle,
  type FeatureServiceOptions,
  featureService,
} from './feature_service.ts';
export {
  type FeatureDtype,
  type FeatureInput,
  type FeatureViewHandle,
  type FeatureViewOptions,
  featureView,
} from './feature_view.ts';
export { collect, definitionOf, type Handle } from './handle.ts';
export {
  type ComputedInput,
  type OnDemandInputs,
  type OnDemandViewOptions,
  onDemandView,
} from './on_demand_view.ts';
export {
  csv,
  type FilesOptions,
  json,
  parquet,
  type SourceHandle,
  type SourceOptions,
  type StreamOptions,
  source,
  sql,
  stream,
} from './source.ts';
export type { AnyUse, ComputedUse, FeatureRef, Use, Used } from './use.ts';
