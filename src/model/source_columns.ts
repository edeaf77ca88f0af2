/** Which columns a source's rows have, and which of them a view reads. */
import { columnsOf } from '../expr/index.ts';
import type { Schema } from '../types/batch.ts';
import type { FeatureView, Source, SourceLookup } from './definitions.ts';
import { eventIdColumns } from './event_id.ts';

/** What a view may use of its source: the source's own columns, then those it looks up. */
export function rowSchemaOf(source: Source): Schema {
  if (source.lookups.length === 0) return source.columns;
  return [...source.columns, ...source.lookups.map(({ name, dtype }) => ({ name, dtype }))];
}

/** The looked-up columns of its source that a view uses, as keys or in expressions; in the source's order. */
export function lookupsUsedBy(view: FeatureView, source: Source): SourceLookup[] {
  if (source.lookups.length === 0) return [];
  const used = namesUsed(view);
  return source.lookups.filter(({ name }) => used.has(name));
}

/**
 * What a view reads of its source's own columns: keys, times, id, op, the columns of its expressions, and the keys of what
 * it looks up; in the source's order.
 */
export function sourceColumnsOf(view: FeatureView, source: Source): string[] {
  const used = namesUsed(view);
  for (const name of [source.eventTime, ...eventIdColumns(source)]) used.add(name);
  if (source.arrivalTime !== null) used.add(source.arrivalTime);
  if (source.op !== null) used.add(source.op);
  for (const { keys } of lookupsUsedBy(view, source)) for (const name of keys) used.add(name);
  return source.columns.map(({ name }) => name).filter((name) => used.has(name));
}

function namesUsed(view: FeatureView): Set<string> {
  const used = new Set(view.keys);
  for (const expr of [view.where, ...view.features.map(({ input }) => input)])
    if (expr !== null) for (const name of columnsOf(expr)) used.add(name);
  return used;
}
