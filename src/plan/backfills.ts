/** What must be built from history, and roughly how much that is. */
import { typeOf } from '../expr/index.ts';
import {
  type Catalog,
  type FeatureView,
  pagesIdOf,
  rowSchemaOf,
  type Source,
} from '../model/index.ts';
import type { Registered } from '../registry/contract.ts';
import type { Dtype } from '../types/dtype.ts';
import { pagesIdAt } from './pages_id.ts';
import type { Backfill, Plan, SourceFacts } from './plan.ts';
import { noEventId } from './warnings.ts';

/** The views whose pages were not kept until now. */
export function backfillsOf(
  desired: Iterable<Omit<Registered, 'revision'>>,
  registered: readonly Registered[],
  catalog: Catalog,
): Backfill[] {
  const kept = new Set(
    registered
      .filter(({ kind, state }) => kind === 'featureView' && state !== 'retired')
      .map((view) => pagesIdAt(registered, view)),
  );
  const backfills: Backfill[] = [];
  for (const { definition, version, name } of desired) {
    if (definition.kind !== 'featureView') continue;
    if (!kept.has(pagesIdOf(definition, catalog)))
      backfills.push({ view: name, version, source: definition.source, rows: null, bytes: null });
  }
  return backfills;
}

/** The plan with what is known of the sources: rows and bytes to build, and how many rows of a source repeat another. */
export function withFacts(
  plan: Plan,
  catalog: Catalog,
  facts: Readonly<Record<string, SourceFacts>>,
): Plan {
  return {
    ...plan,
    backfills: plan.backfills.map((backfill) => {
      const rows = facts[backfill.source]?.rows ?? null;
      if (rows === null) return backfill;
      const perRow = bytesPerEvent(
        catalog.featureViews[backfill.view]!,
        catalog.sources[backfill.source]!,
      );
      return { ...backfill, rows, bytes: rows * perRow };
    }),
    warnings: plan.warnings.map((warning) => {
      const { source } = warning.where;
      return warning.code !== 'plan/no-event-id' || source === undefined
        ? warning
        : noEventId(source, facts[source]?.sample ?? null);
    }),
  };
}

/** Event time, id, and the overhead of blocks, as measured on pages of a few hundred events. */
const EVENT_BYTES = 18;

/** Rough size of an event in a view's pages: its distinct inputs, besides time and id. */
function bytesPerEvent(view: FeatureView, source: Source): number {
  const inputs = new Map(
    view.features.flatMap(({ input }) => (input === null ? [] : [[JSON.stringify(input), input]])),
  );
  const widths = [...inputs.values()].map((input) => width(typeOf(input, rowSchemaOf(source))));
  const arrival = source.arrivalTime === null ? 0 : 8;
  return widths.reduce((sum, bytes) => sum + bytes, EVENT_BYTES + arrival);
}

/** Bytes of a value; a guess where it has no fixed size. */
function width(dtype: Dtype): number {
  switch (dtype.kind) {
    case 'bool':
      return 1;
    case 'int32':
    case 'date':
    case 'float32':
      return 4;
    case 'string':
    case 'bytes':
      return 16;
    case 'list':
      return 4 + 4 * width(dtype.of);
    case 'vector':
      return 4 * dtype.size;
    default:
      return 8;
  }
}
