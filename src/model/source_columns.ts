/** Which columns of its source a view reads. */
import { columnsOf } from '../expr/index.ts';
import type { FeatureView, Source } from './definitions.ts';
import { eventIdColumns } from './event_id.ts';

/** What a view reads of its source: keys, times, id, op, and the columns of its expressions; in the source's order. */
export function sourceColumnsOf(view: FeatureView, source: Source): string[] {
  const used = new Set<string>([...view.keys, source.eventTime, ...eventIdColumns(source)]);
  if (source.arrivalTime !== null) used.add(source.arrivalTime);
  if (source.op !== null) used.add(source.op);
  const exprs = [view.where, ...view.features.map(({ input }) => input)];
  for (const expr of exprs) if (expr !== null) for (const name of columnsOf(expr)) used.add(name);
  return source.columns.map(({ name }) => name).filter((name) => used.has(name));
}
