/** Recommendations with embeddings and fast context. Made by `samewise design`. */
import {
  approxDistinct,
  avg,
  count,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  json,
  source,
  stream,
  string,
  sum,
  timestamp,
  vector,
} from 'samewise';

const owner = 'discovery';

export const user = entity({
  name: 'user',
  key: {
    user_id: int64,
  },
  description: 'someone who looks for something',
  owner,
});

export const item = entity({
  name: 'item',
  key: {
    item_id: int64,
  },
  description: 'something that may be shown',
  owner,
});

export const interactions = source({
  name: 'interactions',
  columns: {
    interaction_id: string,
    happened_at: timestamp,
    user_id: int64,
    item_id: int64,
    kind: string,
    seconds: float64,
  },
  eventTime: 'happened_at',
  eventId: 'interaction_id',
  lateness: '6h',
  batch: json('data/interactions/*.json'),
  stream: stream({ topic: 'interactions', format: 'json' }),
  description: 'views, clicks and purchases',
  owner,
});

export const userVectors = source({
  name: 'user_vectors',
  columns: {
    user_id: int64,
    computed_at: timestamp,
    taste: vector(64),
  },
  eventTime: 'computed_at',
  lateness: '1d',
  batch: json('data/user_vectors/*.json'),
  description: 'a vector for each user, from the hourly training',
  owner,
});

export const itemVectors = source({
  name: 'item_vectors',
  columns: {
    item_id: int64,
    computed_at: timestamp,
    content: vector(128),
  },
  eventTime: 'computed_at',
  lateness: '1d',
  batch: json('data/item_vectors/*.json'),
  description: 'a vector for each item',
  owner,
});

export const catalogue = source({
  name: 'catalogue',
  columns: {
    item_id: int64,
    valid_from: timestamp,
    category: string,
    price: float64,
  },
  eventTime: 'valid_from',
  lateness: '1d',
  batch: json('data/catalogue/*.json'),
  description: 'what is known of items',
  owner,
});

export const session = featureView({
  name: 'session',
  entity: user,
  source: interactions,
  freshness: '1s',
  retention: '1d',
  description: 'what a user does in this session',
  owner,
  features: ({ seconds, item_id }) => ({
    count_10m: count().over('10m'),
    avg_seconds_10m: avg(seconds).over('10m'),
    approx_distinct_item_id_10m: approxDistinct(item_id).over('10m'),
    count_1h: count().over('1h'),
    avg_seconds_1h: avg(seconds).over('1h'),
    approx_distinct_item_id_1h: approxDistinct(item_id).over('1h'),
  }),
});

export const habits = featureView({
  name: 'habits',
  entity: user,
  source: interactions,
  freshness: '1d',
  retention: '30d',
  description: 'what a user does usually',
  owner,
  features: ({ seconds }) => ({
    count_7d: count().over('7d').hop('1d'),
    avg_seconds_7d: avg(seconds).over('7d').hop('1d'),
    count_28d: count().over('28d').hop('1d'),
    avg_seconds_28d: avg(seconds).over('28d').hop('1d'),
  }),
});

export const popularity = featureView({
  name: 'popularity',
  entity: item,
  source: interactions,
  freshness: '5s',
  retention: '2d',
  description: 'how much an item is looked at',
  owner,
  features: ({ seconds }) => ({
    count_1h: count().over('1h'),
    sum_seconds_1h: sum(seconds).over('1h'),
    count_1d: count().over('1d'),
    sum_seconds_1d: sum(seconds).over('1d'),
  }),
});

export const userTaste = featureView({
  name: 'user_taste',
  entity: user,
  source: userVectors,
  freshness: '1h',
  retention: '1d',
  owner,
  features: ({ taste }) => ({
    taste,
  }),
});

export const itemContent = featureView({
  name: 'item_content',
  entity: item,
  source: itemVectors,
  freshness: '1d',
  retention: '1d',
  owner,
  features: ({ content }) => ({
    content,
  }),
});

export const itemFacts = featureView({
  name: 'item_facts',
  entity: item,
  source: catalogue,
  freshness: '1h',
  retention: '1d',
  owner,
  features: ({ category, price }) => ({
    category,
    price,
  }),
});

export const service = featureService({
  name: 'recommendation_v1',
  model: 'recommendation',
  features: [session.as('session'), habits, popularity.as('popularity'), userTaste, itemContent, itemFacts],
  owner,
});
