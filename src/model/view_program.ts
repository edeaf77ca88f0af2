/** A feature view made ready to run: which columns to scan, how rows become inputs, and what its timelines look like. */
import { canonicalJson } from '../base/hash.ts';
import { compile, type Program, typeOf } from '../expr/index.ts';
import type { Expr } from '../expr/ir.ts';
import type { Layout } from '../timeline/layout.ts';
import type { Schema } from '../types/batch.ts';
import type { Dtype } from '../types/dtype.ts';
import { coerce, type Scalar } from '../types/scalar.ts';
import { entityOf, featureIndex, featureViewOf, sourceOf } from './catalog.ts';
import type { Catalog, Entity, FeatureView, Source } from './definitions.ts';
import { pagesIdOf } from './fingerprint.ts';
import { lookupsUsedBy, rowSchemaOf, sourceColumnsOf } from './source_columns.ts';

/** A looked-up column that a view uses: which feature of which view, under which key. */
export interface ColumnLookup {
  readonly name: string;
  readonly dtype: Dtype;
  /** Columns of the row's source that hold the key, in the order of the looked-up view's entity. */
  readonly keys: readonly string[];
  /** The view looked up; the same object for all columns that come from it. It looks nothing up itself. */
  readonly program: ViewProgram;
  /** Position of the feature in that view; its default is `program.defaults[feature]`. */
  readonly feature: number;
}

export interface ViewProgram {
  readonly view: FeatureView;
  readonly source: Source;
  readonly entity: Entity;
  /** Short id of what this version of the view keeps, 16 hex characters: the prefix of its pages (see `pagesIdOf`). */
  readonly id: string;
  /** Types of the entity's key, in its order. */
  readonly keyDtypes: readonly Dtype[];
  /** Names of the source's own columns that any of this needs, in the source's order; what look-ups need is among them. */
  readonly sourceColumns: readonly string[];
  /** Columns that are looked up before `filter`, `rowProgram` and the view's keys see a row; in the source's order. */
  readonly lookups: readonly ColumnLookup[];
  /** What `filter`, `rowProgram` and the view's keys see of a row: `sourceColumns`, then what is looked up, with their types. */
  readonly rowSchema: Schema;
  /** Yields one bool column, true where the row belongs to the view (null counts as false); null: every row does. */
  readonly filter: Program | null;
  /** Yields the timeline's columns, in the order of `layout.columns`. */
  readonly rowProgram: Program;
  readonly layout: Layout;
  /** Of each feature: what stands in for null, or null. */
  readonly defaults: readonly (Scalar | null)[];
}

/**
 * Compiles a valid view (see `validateCatalog`). Features that share an input share its column, and features that share
 * input and aggregate share its partials. Throws `model/unknown-view` and `model/not-a-feature-view`.
 */
export function compileView(catalog: Catalog, viewName: string): ViewProgram {
  const view = featureViewOf(catalog, viewName);
  const source = sourceOf(catalog, view.source);
  const entity = entityOf(catalog, view.entity);
  const { layout, inputs } = layoutOf(view, source);
  const sourceColumns = sourceColumnsOf(view, source);
  // Before its look-ups are compiled: a view that would look itself up has no fingerprint, and ends here.
  const id = pagesIdOf(view, catalog);
  const needed = new Set(sourceColumns);
  const lookups = lookupsOf(catalog, view, source);
  for (const { name } of lookups) needed.add(name);
  const rowSchema = rowSchemaOf(source).filter(({ name }) => needed.has(name));
  return {
    view,
    source,
    entity,
    id,
    keyDtypes: entity.key.map(({ dtype }) => dtype),
    sourceColumns,
    lookups,
    rowSchema,
    filter: view.where === null ? null : compile([view.where], rowSchema),
    rowProgram: compile(inputs, rowSchema),
    layout,
    defaults: view.features.map((feature) => coerce(feature.default, feature.dtype)),
  };
}

function lookupsOf(catalog: Catalog, view: FeatureView, source: Source): ColumnLookup[] {
  const programs = new Map<string, ViewProgram>();
  return lookupsUsedBy(view, source).map((lookup) => {
    let program = programs.get(lookup.view);
    if (program === undefined)
      programs.set(lookup.view, (program = compileView(catalog, lookup.view)));
    const { name, dtype, keys, feature } = lookup;
    return { name, dtype, keys, program, feature: featureIndex(program.view, feature) };
  });
}

function layoutOf(view: FeatureView, source: Source): { layout: Layout; inputs: Expr[] } {
  const inputs: Expr[] = [];
  const inputIndex = new Map<string, number>();
  const aggregates: Layout['aggregates'][number][] = [];
  const aggregateIndex = new Map<string, number>();
  const reads = view.features.map((feature) => {
    const input = feature.input;
    const column =
      input === null ? -1 : once(inputIndex, canonicalJson(input), () => inputs.push(input) - 1);
    const aggregate = once(
      aggregateIndex,
      canonicalJson([feature.aggregate, column]),
      () => aggregates.push({ spec: feature.aggregate, input: column }) - 1,
    );
    return { aggregate, window: feature.window };
  });
  const layout: Layout = {
    columns: inputs.map((input) => typeOf(input, rowSchemaOf(source))),
    aggregates,
    reads,
    mutable: source.mutable,
    retentionUs: view.retentionUs,
  };
  return { layout, inputs };
}

function once(index: Map<string, number>, key: string, make: () => number): number {
  let at = index.get(key);
  if (at === undefined) index.set(key, (at = make()));
  return at;
}
