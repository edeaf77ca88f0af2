/** Fraud detection in real time. Made by `samewise design`. */
import {
  avg,
  bool,
  count,
  distinctCount,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  json,
  max,
  onDemandView,
  source,
  stddev,
  stream,
  string,
  sum,
  timestamp,
} from 'samewise';

const owner = 'fraud_team';

export const customer = entity({
  name: 'customer',
  key: {
    customer_id: int64,
  },
  description: 'someone who pays',
  owner,
});

export const merchant = entity({
  name: 'merchant',
  key: {
    merchant_id: int64,
  },
  description: 'someone who is paid',
  owner,
});

export const payments = source({
  name: 'payments',
  columns: {
    payment_id: int64,
    paid_at: timestamp,
    customer_id: int64,
    merchant_id: int64,
    amount: float64,
    country: string,
  },
  eventTime: 'paid_at',
  eventId: 'payment_id',
  lateness: '1h',
  batch: json('data/payments/*.json'),
  stream: stream({ topic: 'payments.v2', format: 'json' }),
  description: 'authorised payments',
  owner,
});

export const accounts = source({
  name: 'accounts',
  columns: {
    customer_id: int64,
    changed_at: timestamp,
    segment: string,
    credit_limit: float64,
    blocked: bool,
  },
  eventTime: 'changed_at',
  eventId: 'customer_id',
  mutable: true,
  lateness: '1d',
  batch: json('data/accounts/*.json'),
  stream: stream({ topic: 'db.public.accounts', format: 'debezium' }),
  description: 'the accounts table of the core bank, in PostgreSQL',
  owner,
});

export const customerNow = featureView({
  name: 'customer_now',
  entity: customer,
  source: payments,
  freshness: '500ms',
  retention: '2d',
  description: 'what a customer does right now',
  owner,
  features: ({ amount, country }) => ({
    count_5m: count().over('5m'),
    sum_amount_5m: sum(amount).over('5m'),
    max_amount_5m: max(amount).over('5m'),
    distinct_count_country_5m: distinctCount(country).over('5m'),
    count_1h: count().over('1h'),
    sum_amount_1h: sum(amount).over('1h'),
    max_amount_1h: max(amount).over('1h'),
    distinct_count_country_1h: distinctCount(country).over('1h'),
    count_1d: count().over('1d'),
    sum_amount_1d: sum(amount).over('1d'),
    max_amount_1d: max(amount).over('1d'),
    distinct_count_country_1d: distinctCount(country).over('1d'),
  }),
});

export const customerDays = featureView({
  name: 'customer_days',
  entity: customer,
  source: payments,
  freshness: '1d',
  retention: '32d',
  description: 'what is usual for a customer',
  owner,
  features: ({ amount }) => ({
    count_7d: count().over('7d').hop('1d'),
    avg_amount_7d: avg(amount).over('7d').hop('1d'),
    stddev_amount_7d: stddev(amount).over('7d').hop('1d'),
    count_30d: count().over('30d').hop('1d'),
    avg_amount_30d: avg(amount).over('30d').hop('1d'),
    stddev_amount_30d: stddev(amount).over('30d').hop('1d'),
  }),
});

export const merchantNow = featureView({
  name: 'merchant_now',
  entity: merchant,
  source: payments,
  freshness: '500ms',
  retention: '2d',
  description: 'what happens at a merchant right now',
  owner,
  features: ({ amount }) => ({
    count_10m: count().over('10m'),
    avg_amount_10m: avg(amount).over('10m'),
    count_1d: count().over('1d'),
    avg_amount_1d: avg(amount).over('1d'),
  }),
});

export const account = featureView({
  name: 'account',
  entity: customer,
  source: accounts,
  freshness: '5s',
  description: 'the account as it stands',
  owner,
  features: ({ segment, credit_limit, blocked }) => ({
    segment,
    credit_limit,
    blocked,
  }),
});

export const requestContext = onDemandView({
  name: 'request_context',
  request: {
    amount: float64,
  },
  uses: { customerDays, account },
  owner,
  features: ({ request, customerDays, account }) => ({
    amount_to_mean: request.amount.div(customerDays.avg_amount_30d),
    amount_to_limit: request.amount.div(account.credit_limit),
  }),
});

export const service = featureService({
  name: 'fraud_v1',
  model: 'fraud',
  features: [customerNow.as('customer_now'), customerDays, merchantNow.as('merchant_now'), account, requestContext],
  owner,
});
