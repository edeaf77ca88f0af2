/** What a program that pushes and asks shares with the project that it asks. */
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
  source,
  timestamp,
} from '../../src/dsl/index.ts';

const customer = entity({ name: 'customer', key: { customer_id: int64 } });
export const payments = source({
  name: 'payments',
  columns: { id: int64, at: timestamp, customer_id: int64, amount: float64, cents: int64 },
  eventTime: 'at',
  eventId: 'id',
});
const spending = featureView({
  name: 'spending',
  entity: customer,
  source: payments,
  features: ({ amount, cents }) => ({
    n: count().lifetime(),
    mean: avg(amount).lifetime(),
    last: lastK(cents, 2).lifetime(),
  }),
});
const context = onDemandView({
  name: 'context',
  request: { price: float64 },
  uses: { spending },
  features: ({ request, spending }) => ({ to_mean: request.price.div(spending.mean) }),
});
export const fraud = featureService({ name: 'fraud', features: [spending, context] });
