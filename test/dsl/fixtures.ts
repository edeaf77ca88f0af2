/** The example that the README shows: one of everything. */
import {
  avg,
  count,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  lastK,
  onDemandView,
  parquet,
  source,
  timestamp,
} from '../../src/dsl/index.ts';

export const customer = entity({
  name: 'customer',
  key: { customer_id: int64 },
  owner: 'fraud-team',
});

export const transactions = source({
  name: 'transactions',
  columns: {
    tx_id: int64,
    at: timestamp,
    customer_id: int64,
    terminal_id: int64,
    amount: float64,
  },
  eventTime: 'at',
  eventId: 'tx_id',
  lateness: '1h',
  batch: parquet('data/transactions/*.parquet'),
});

export const spending = featureView({
  name: 'customer_spending',
  entity: customer,
  source: transactions,
  freshness: '5s',
  features: ({ amount }) => ({
    tx_count_1d: count().over('1d'),
    avg_amount_7d: avg(amount).over('7d').describe('mean amount of the last seven days'),
    last_5_amounts: lastK(amount, 5).over('30d'),
  }),
});

export const context = onDemandView({
  name: 'amount_context',
  request: { amount: float64 },
  uses: { spending },
  features: ({ request, spending }) => ({
    amount_to_mean: request.amount.div(spending.avg_amount_7d),
  }),
});

export const fraud = featureService({
  name: 'fraud_v1',
  model: 'fraud-detector',
  features: [spending, context],
});
