/** Small registered objects for registry tests; their fingerprints are only labels. */
import type { Registered } from '../../src/registry/contract.ts';
import { float64, int64 } from '../../src/types/dtype.ts';

type Stored = Omit<Registered, 'revision'>;
const described = { description: '', owner: 'team', tags: {} };

/** A view of features called `names`, on the entity customer. */
export function view(
  name: string,
  names: readonly string[],
  change: Partial<Stored> & { owner?: string; tags?: Record<string, string> } = {},
): Stored {
  const { owner = 'team', tags = {}, ...rest } = change;
  return {
    kind: 'featureView',
    name,
    version: 1,
    fingerprint: `${name}@1`,
    pins: { 'entity/customer': 1, 'source/transactions': 1 },
    state: 'current',
    definition: {
      ...described,
      kind: 'featureView',
      name,
      owner,
      tags,
      description: `the view ${name}`,
      entity: 'customer',
      source: 'transactions',
      keys: ['customer_id'],
      where: null,
      features: names.map((feature) => ({
        name: feature,
        description: `all about ${feature.replaceAll('_', ' ')}`,
        tags: { unit: 'eur' },
        dtype: float64,
        aggregate: { fn: 'sum', params: {} },
        input: { kind: 'column', name: 'amount' },
        window: { sizeUs: 1, delayUs: 0, hopUs: null, sinceStartOf: null, last: null },
        default: null,
        freshnessUs: null,
      })),
      freshnessUs: null,
      retentionUs: null,
    },
    ...rest,
  };
}

export const customer: Stored = {
  kind: 'entity',
  name: 'customer',
  version: 1,
  fingerprint: 'customer@1',
  pins: {},
  state: 'current',
  definition: {
    ...described,
    kind: 'entity',
    name: 'customer',
    key: [{ name: 'customer_id', dtype: int64 }],
  },
};
