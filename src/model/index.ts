/** The model's door: catalogs, validation, fingerprints, and definitions made ready to run. */
export { type Assembled, assemble, keyColumnsOf, type Looked, withDefault } from './assemble.ts';
export {
  catalogOf,
  definitionsOf,
  entityOf,
  featureIndex,
  featureViewOf,
  findDefinition,
  findView,
  KIND_TITLE,
  sourceOf,
  suggestion,
  viewOf,
  whereOf,
} from './catalog.ts';
export * from './definitions.ts';
export { canBeEventId, eventIdColumns, eventIds } from './event_id.ts';
export { FILE_ENDINGS, fileTypeOf } from './file_type.ts';
export { fingerprint, pagesIdOf } from './fingerprint.ts';
export { deepFreeze } from './freeze.ts';
export { definitionFromJson, definitionToJson } from './json.ts';
export {
  type DefinitionRef,
  dependenciesOf,
  dependentsOf,
  type FeatureLineage,
  lineageOf,
  printDefinitionRef,
  referencesOf,
} from './lineage.ts';
export { sweptDtypes, sweptFeatures, sweptLayout } from './lookup_reads.ts';
export {
  fallbacksOf,
  featuresTaken,
  membersFor,
  outputName,
  ownKeys,
  parseRef,
  printRef,
} from './members.ts';
export {
  type FallbackStatus,
  fallbackStatus,
  STATUSES,
  STORED_STATUSES,
  type Status,
  type StoredStatus,
} from './missing.ts';
export { problemsOf } from './problems.ts';
export {
  type Chain,
  type ChainSlot,
  type Computation,
  type ComputedSlot,
  type KeySlot,
  type Lookup,
  type LookupSlot,
  type Output,
  planService,
  type RequestSlot,
  type ServicePlan,
  type Slot,
} from './service_plan.ts';
export { lookupsUsedBy, rowSchemaOf, sourceColumnsOf } from './source_columns.ts';
export { DEFAULT_LATENESS_US, DEFAULT_STREAM } from './stream.ts';
export { validateCatalog } from './validate.ts';
export { type ColumnLookup, compileView, type ViewProgram } from './view_program.ts';
