/** The model's door: catalogs, validation, fingerprints, and definitions made ready to run. */
export { type Assembled, assemble, keyColumnsOf, withDefault } from './assemble.ts';
export {
  catalogOf,
  definitionsOf,
  entityOf,
  featureIndex,
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
export { fingerprint } from './fingerprint.ts';
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
export { featuresTaken, membersFor, outputName, ownKeys, parseRef, printRef } from './members.ts';
export { STATUSES, type Status } from './missing.ts';
export { problemsOf } from './problems.ts';
export {
  type Computation,
  type ComputedSlot,
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
export { type ColumnLookup, compileView, featureViewOf, type ViewProgram } from './view_program.ts';
