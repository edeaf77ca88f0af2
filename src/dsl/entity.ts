import type { Entity } from '../model/index.ts';
import { type Columns, type DescribedOptions, describedOf, schemaOf } from './described.ts';
import { type Handle, handle } from './handle.ts';

export interface EntityOptions<K extends Columns> extends DescribedOptions {
  /** The key columns, in order. Whole numbers, strings, bytes, bools, dates and timestamps can be keys. */
  readonly key: K;
}

export interface EntityHandle<K extends Columns> extends Handle<Entity> {
  readonly key: K;
}

/**
 * A thing that features describe: a customer, a terminal, a route.
 *
 *     const customer = entity({ name: 'customer', key: { customer_id: int64 }, owner: 'fraud-team' });
 *     const route = entity({ name: 'route', key: { origin: string, destination: string } });
 */
export function entity<K extends Columns>(options: EntityOptions<K>): EntityHandle<K> {
  const definition: Entity = {
    kind: 'entity',
    ...describedOf(options),
    key: schemaOf(options.key),
  };
  return handle({ key: options.key }, definition, []);
}
