/** What every object says of itself besides its meaning. */
import { type DurationText, parseDuration } from '../base/duration.ts';
import type { DurationUs } from '../base/time.ts';
import type { Described } from '../model/index.ts';
import type { Schema } from '../types/batch.ts';
import type { Dtype } from '../types/dtype.ts';

/** None of this but `name` is part of a definition's meaning: changing it makes no new version. */
export interface DescribedOptions {
  /** Letters, digits and underscores, starting with a letter; unique within its kind. */
  readonly name: string;
  readonly description?: string;
  /** A team or a person. */
  readonly owner?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

/** Columns by name: `{ customer_id: int64, amount: float64 }`. */
export type Columns = Readonly<Record<string, Dtype>>;

export function describedOf(options: DescribedOptions): Described {
  const { name, description = '', owner = '', tags = {} } = options;
  return { name, description, owner, tags: { ...tags } };
}

export function schemaOf(columns: Columns): Schema {
  return Object.entries(columns).map(([name, dtype]) => ({ name, dtype }));
}

export function durationOf(text: DurationText | undefined): DurationUs | null {
  return text === undefined ? null : parseDuration(text);
}
