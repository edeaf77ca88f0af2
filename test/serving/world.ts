/** A small world that several tests share: customers who pay in cities, routes, one on-demand view, one service. */
import { parseInstant } from '../../src/base/time.ts';
import type { Definition, Member, OnDemandView } from '../../src/model/index.ts';
import type { OnlineStore } from '../../src/online/contract.ts';
import { list } from '../../src/types/dtype.ts';
import type { Scalar } from '../../src/types/scalar.ts';
import {
  entity,
  feature,
  float64,
  int64,
  materialize,
  over,
  source,
  string,
  view,
} from './support.ts';

const column = (name: string) => ({ from: 'column', column: name }) as const;
const described = { description: '', owner: 'team', tags: {} };

const ofCustomer: Member = {
  view: 'spending',
  features: null,
  keys: [column('customer_id')],
  as: null,
};
const profile: Member = { ...ofCustomer, view: 'profile', features: ['city'] };
const homeCity: Member = {
  view: 'city_stats',
  features: ['city_mean'],
  keys: [{ from: 'feature', member: profile, feature: 'city' }],
  as: 'home',
};
const context: OnDemandView = {
  ...described,
  kind: 'onDemandView',
  name: 'context',
  request: [{ name: 'amount', dtype: float64 }],
  uses: { spending: ofCustomer },
  features: [
    {
      name: 'amount_to_mean',
      description: '',
      tags: {},
      dtype: float64,
      expr: {
        kind: 'call',
        fn: 'div',
        args: [
          { kind: 'column', name: 'request.amount' },
          { kind: 'column', name: 'spending.mean_7d' },
        ],
      },
      default: null,
    },
  ],
};

export const DEFINITIONS: readonly Definition[] = [
  entity('customer', { customer_id: int64 }),
  entity('city', { city: string }),
  entity('route', { origin: string, number: int64 }),
  source('payments', {
    customer_id: int64,
    city: string,
    amount: float64,
    ticket: int64,
    note: string,
  }),
  source('flights', { origin: string, number: int64, delay: float64 }),
  view('spending', 'customer', ['customer_id'], 'payments', [
    feature('count_1d', int64, 'count', null, over('1d')),
    feature('mean_7d', float64, 'avg', 'amount', over('7d')),
    feature('total', float64, 'sum', 'amount', over('1d'), 0),
    feature('last_ticket', int64, 'latest', 'ticket', over(null)),
    feature('note', string, 'latest', 'note', over('2d'), 'nothing'),
    feature('last_3', list(float64), 'last_k', 'amount', over(null), null, { k: 3 }),
  ]),
  view('profile', 'customer', ['customer_id'], 'payments', [
    feature('city', string, 'latest', 'city', over(null)),
    feature('note', string, 'latest', 'note', over(null)),
  ]),
  view('city_stats', 'city', ['city'], 'payments', [
    feature('city_mean', float64, 'avg', 'amount', over(null)),
  ]),
  view('delays', 'route', ['origin', 'number'], 'flights', [
    feature('worst', float64, 'max', 'delay', over('30d')),
  ]),
  context,
  {
    ...described,
    kind: 'featureService',
    name: 'fraud',
    model: 'detector',
    members: [ofCustomer, homeCity, { ...ofCustomer, view: 'context', keys: [] }],
  },
];

/** 2^53 + 1: the first whole number that a float64 cannot hold. */
export const BIG = 9007199254740993n;

type Row = Readonly<Record<string, Scalar | null>>;

const payment = (id: bigint, at: string, customer: bigint, rest: Row): Row => ({
  id,
  at: parseInstant(at),
  customer_id: customer,
  ...rest,
});

export const PAYMENTS: readonly Row[] = [
  payment(1n, '2024-03-05T10:00:00Z', 7n, { city: 'Paris', amount: 10, ticket: 1n, note: 'first' }),
  payment(2n, '2024-03-09T12:00:00Z', 7n, { city: 'Zürich', amount: 20, ticket: BIG, note: null }),
  payment(3n, '2024-03-09T13:00:00.000001Z', 7n, {
    city: 'Zürich',
    amount: 0.1,
    ticket: BIG,
    note: null,
  }),
  payment(4n, '2024-03-01T00:00:00Z', BIG, {
    city: 'Zürich',
    amount: 5,
    ticket: -BIG,
    note: '日本',
  }),
  payment(5n, '2024-03-02T00:00:00Z', 9n, { city: null, amount: null, ticket: null, note: null }),
];

export const FLIGHTS: readonly Row[] = [
  { id: 1n, at: parseInstant('2024-03-08'), origin: 'JFK', number: 1n, delay: 12.5 },
  { id: 2n, at: parseInstant('2024-03-08'), origin: 'JFK\u0000', number: 1n, delay: 99 },
  { id: 3n, at: parseInstant('2024-03-08'), origin: '東京', number: BIG, delay: -3 },
];

export async function fill(online: OnlineStore): Promise<void> {
  for (const name of ['spending', 'profile', 'city_stats'])
    await materialize(
      online,
      DEFINITIONS,
      name,
      name === 'city_stats' ? PAYMENTS.filter(({ city }) => city !== null) : PAYMENTS,
    );
  await materialize(online, DEFINITIONS, 'delays', FLIGHTS);
}
