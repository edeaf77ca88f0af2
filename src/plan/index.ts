/** The plan's door: what applying definitions would do, doing it, and the catalogs of what is registered. */
export { applyPlan, preparePlan, retire, type Signature, type Surveyor } from './apply.ts';
export { withFacts } from './backfills.ts';
export { catalogAt, currentCatalog, type ObjectRef, registeredAt } from './catalog_at.ts';
export { planChanges } from './changes.ts';
export { pagesIdAt } from './pages_id.ts';
export type { Backfill, Plan, PlannedChange, SourceFacts, Touched, Warning } from './plan.ts';
export { planToJson, printPlan } from './print.ts';
export { printFallbacks, printFeature } from './readable.ts';
