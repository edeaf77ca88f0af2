/**
 * The shapes of requests and answers: what validates requests is what the OpenAPI document shows. Answers are written by
 * hand; their schemas are for readers, and the tests hold the two together.
 */
import Type, { type Static, type TObject, type TSchema } from 'typebox';
import { STATUSES } from '../model/missing.ts';
import { MAX_ENTITIES } from './ask.ts';
import { MAX_FEATURES_ASKED } from './asked.ts';

export const JSON_TYPE = 'application/json; charset=utf-8';

export const strict = { additionalProperties: false };
export const name = (description: string, example: string) =>
  Type.String({ minLength: 1, maxLength: 512, description, examples: [example] });
export const optional = Type.Optional;

export function choice<const T extends readonly string[]>(values: T, description: string) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: [...values], description });
}

const Time = (description: string) =>
  Type.String({ minLength: 1, maxLength: 64, description, examples: ['2024-03-01T12:30:00Z'] });
const At = Time(
  'Read as of this time: ISO 8601 (UTC without an offset) or whole microseconds since 1970. Default: now.',
);
const THROUGH = 'Count events at exactly `at` too; otherwise only those strictly before it.';

const Value = Type.Unknown({
  description:
    'null, a boolean, a number (int64 with all its digits), a string (also for times, dates and base64), or an array.',
});
const Values = (description: string) =>
  Type.Record(Type.String(), Value, { description, examples: [{ tx_count_1d: 3 }] });
const Status = choice(STATUSES, 'Why the value is what it is.');
const Statuses = Type.Record(Type.String(), Status, {
  description: 'Status of each feature.',
  examples: [{ tx_count_1d: 'PRESENT' }],
});
const EventTimes = Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()]), {
  description:
    'When the newest event of the entity before `at` happened; null where there is none.',
  examples: [{ tx_count_1d: '2024-03-01T12:29:58Z' }],
});

/** What every read takes. */
export const ReadHeaders = Type.Object({
  'x-deadline-ms': optional(
    Type.String({
      pattern: '^[0-9]{1,9}$',
      description:
        'Milliseconds from now after which nothing is waited for: what has not come is null with the status TIMED_OUT, and the answer says `partial`.',
      examples: ['20'],
    }),
  ),
  'x-request-id': optional(
    Type.String({
      description:
        'What the client calls the request: up to 200 visible characters. The answer, errors and the feature log name it.',
    }),
  ),
});
const Stale = optional(
  Type.Array(Type.String(), {
    description:
      'Features made from pages that are further behind than they promise; there only where there are any.',
    examples: [['tx_count_1d']],
  }),
);
const Partial = optional(
  Type.Boolean({ description: 'true where the deadline passed before all values came.' }),
);

export const ErrorAnswer = Type.Object(
  {
    error: Type.Object({
      code: Type.String({ examples: ['serving/unknown-feature'] }),
      message: Type.String({ examples: ['user has no feature called "amout"'] }),
      field: optional(Type.String({ examples: ['features'] })),
      hint: optional(Type.String({ examples: ['did you mean "amount"?'] })),
      where: optional(Type.Record(Type.String(), Type.Unknown())),
      request_id: optional(Type.String({ examples: ['9f3c01aa72bd-2k'] })),
    }),
  },
  { description: 'What was wrong, where, and what to do.' },
);

type Answers = Readonly<Record<string, TSchema>>;
export const BAD = { '4xx': ErrorAnswer, '5xx': ErrorAnswer } as const satisfies Answers;

const OnlineQuery = Type.Object(
  {
    entity: name('Name of the entity.', 'user'),
    id: Type.Union(
      [
        Type.String({ maxLength: 8192, examples: ['user_123'] }),
        Type.Array(Type.String({ maxLength: 8192 }), { minItems: 1, maxItems: 16 }),
      ],
      {
        description:
          'The key of the entity. A key of several columns: `id` once for each column, in key order, or one JSON array.',
        examples: ['user_123'],
      },
    ),
    features: Type.Union([Type.String(), Type.Array(Type.String())], {
      description: `Features, separated by commas: \`view:feature\`, or a bare name where only one view of the entity has it. At most ${MAX_FEATURES_ASKED}.`,
      examples: ['tx_count_1d,customer_spending:avg_amount_7d'],
    }),
    at: optional(At),
    through: optional(choice(['true', 'false'], THROUGH)),
  },
  strict,
);
export type OnlineQuery = Static<typeof OnlineQuery>;

const OnlineAnswer = Type.Object(
  {
    entity: Type.String({ examples: ['user'] }),
    id: Value,
    features: Values('Value of each feature under the name that was asked.'),
    statuses: Statuses,
    event_times: EventTimes,
    at: Time('The time that was read at.'),
    partial: Partial,
    stale: Stale,
  },
  { description: 'The features of the entity.' },
);

export const onlineSchema = {
  operationId: 'readOnlineFeatures',
  tags: ['features'],
  summary: 'Features of one entity',
  description:
    'Values, statuses and event times of features of one entity, now or at any past time. An entity that is not known has the value of an empty history and the status NOT_FOUND.',
  querystring: OnlineQuery,
  headers: ReadHeaders,
  response: { 200: OnlineAnswer, ...BAD },
};

const ServiceParams = Type.Object({
  service: name(
    'A feature service: `name`, or `name@version` for a version that is kept.',
    'fraud_v1',
  ),
});
export type ServiceParams = Static<typeof ServiceParams>;

const VectorsBody = Type.Object(
  {
    entities: Type.Array(Type.Record(Type.String(), Type.Unknown()), {
      minItems: 1,
      maxItems: MAX_ENTITIES,
      description:
        'For each vector: the key columns and the request data of on-demand features. null says that it is not known.',
      examples: [
        [
          { customer_id: 7, amount: 25.5 },
          { customer_id: 8, amount: 3.2 },
        ],
      ],
    }),
    at: optional(At),
    through: optional(Type.Boolean({ description: THROUGH })),
    full: optional(Type.Boolean({ description: 'Also give statuses and event times.' })),
    types: optional(Type.Boolean({ description: 'Also give the types of the values.' })),
    orientation: optional(
      choice(
        ['rows', 'columns'],
        'One object for each entity (rows, the default), or one array for each feature.',
      ),
    ),
  },
  { ...strict, examples: [{ entities: [{ customer_id: 7, amount: 25.5 }], full: true }] },
);
export type VectorsBody = Static<typeof VectorsBody>;

const ListBody = Type.Object(
  {
    ...VectorsBody.properties,
    features: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      maxItems: MAX_FEATURES_ASKED,
      description: 'Features as `view:feature`.',
      examples: [['customer_spending:avg_amount_7d', 'amount_context:amount_to_mean']],
    }),
    full_names: optional(Type.Boolean({ description: 'Call features `view__feature`.' })),
  },
  strict,
);
export type ListBody = Static<typeof ListBody>;

const VectorsAnswer = Type.Object(
  {
    service: optional(Type.String({ examples: ['fraud_v1'] })),
    version: optional(Type.Integer({ examples: [1] })),
    at: Time('The time that was read at.'),
    partial: Partial,
    stale: Stale,
    vectors: optional(
      Type.Array(Values('One vector.'), { description: 'In the order of `entities`; rows.' }),
    ),
    columns: optional(
      Type.Record(Type.String(), Type.Array(Value), { description: 'By feature; columns.' }),
    ),
    statuses: optional(
      Type.Union([Type.Array(Statuses), Type.Record(Type.String(), Type.Array(Status))], {
        description: 'With `full`, in the shape of the values.',
      }),
    ),
    event_times: optional(
      Type.Union(
        [
          Type.Array(EventTimes),
          Type.Record(Type.String(), Type.Array(Type.Union([Type.String(), Type.Null()]))),
        ],
        { description: 'With `full`, in the shape of the values.' },
      ),
    ),
    types: optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'With `types`: float64, int64, string, timestamp, list(T), …',
      }),
    ),
  },
  { description: 'The vectors.' },
);

export const vectorsSchema = {
  operationId: 'readServiceVectors',
  tags: ['services'],
  summary: 'Vectors of many entities by service',
  description:
    'Reads the features of a service for many entities at once, on-demand features included, all at the same time `at`.',
  params: ServiceParams,
  headers: ReadHeaders,
  body: VectorsBody,
  response: { 200: VectorsAnswer, ...BAD },
};

export const listSchema = {
  operationId: 'readFeatureVectors',
  tags: ['features'],
  summary: 'Vectors of many entities by list of features',
  description:
    'As for a service, for features that are named one by one; each as it is defined now.',
  headers: ReadHeaders,
  body: ListBody,
  response: { 200: VectorsAnswer, ...BAD },
};

const DefineBody = Type.Object(
  {
    name: name('Name of the feature, and of its view.', 'avg_basket'),
    entity: name('Name of a registered entity.', 'user'),
    dtype: name(
      'Type of the values: float64, int64, string, bool, timestamp, list(T), …',
      'float64',
    ),
    description: Type.String({ maxLength: 10_000, examples: ['mean basket of the user'] }),
    source: Type.Object(
      {
        type: choice(['batch'], 'A query over history.'),
        query: Type.String({
          minLength: 1,
          maxLength: 100_000,
          description:
            "Gives the entity's key columns, a column called like the feature or `value`, and, where the value changes over time, `event_timestamp`. Rows without one hold since ever.",
          examples: ["SELECT user_id, value, event_timestamp FROM 'baskets.parquet'"],
        }),
      },
      strict,
    ),
    owner: name('Who answers for it.', 'growth-team'),
  },
  {
    ...strict,
    examples: [
      {
        name: 'avg_basket',
        entity: 'user',
        dtype: 'float64',
        description: 'mean basket of the user',
        source: {
          type: 'batch',
          query: "SELECT user_id, value, event_timestamp FROM 'baskets.parquet'",
        },
        owner: 'growth-team',
      },
    ],
  },
);
export type DefineBody = Static<typeof DefineBody>;

const DefineAnswer = Type.Object(
  {
    ref: Type.String({ description: '`view:feature`.', examples: ['avg_basket:avg_basket'] }),
    version: Type.Integer({ description: 'Version of the view.', examples: [1] }),
    created: Type.Boolean({ description: 'False where exactly this was defined already.' }),
  },
  { description: 'The feature as registered. Its values come with the next materialisation.' },
);

export const defineSchema = {
  operationId: 'defineFeature',
  tags: ['features'],
  summary: 'Define a feature by a query',
  description:
    'Registers a latest-value feature over a SQL query. The same definition again changes nothing; another one under the same name is a new version.',
  body: DefineBody,
  response: { 200: DefineAnswer, 201: DefineAnswer, ...BAD },
};

const OfflineBody = Type.Object(
  {
    entity: name('Name of the entity.', 'user'),
    features: Type.Union(
      [
        Type.Array(Type.String({ minLength: 1 }), { minItems: 1, maxItems: MAX_FEATURES_ASKED }),
        Type.String({ minLength: 1 }),
      ],
      {
        description: 'Features as for the online read.',
        examples: [['tx_count_1d', 'avg_basket']],
      },
    ),
    entity_df: Type.String({
      minLength: 1,
      maxLength: 4096,
      description:
        'Path or URL of the labels (Parquet, CSV, JSON lines; a file, folder or glob) under a folder that the server may read. They have the key columns of the entity and the time column.',
      examples: ['labels/2024.parquet'],
    }),
    timestamp_column: name('The label column that holds the time of each row.', 'event_timestamp'),
    format: optional(
      choice(['parquet', 'csv', 'arrow'], 'Format of the training set. Default: parquet.'),
    ),
    output: optional(
      Type.String({
        pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$',
        description: "File name in the server's output folder. Default: one made from the request.",
        examples: ['fraud_training.parquet'],
      }),
    ),
    through: optional(
      Type.Boolean({ description: 'Count events at exactly the time of a row too.' }),
    ),
    knowledge: optional(
      choice(
        ['final', 'as-served'],
        'All that is known now (final, the default), or only what had arrived before the time of the row.',
      ),
    ),
  },
  {
    ...strict,
    examples: [
      {
        entity: 'user',
        features: ['tx_count_1d'],
        entity_df: 'labels/2024.parquet',
        timestamp_column: 'event_timestamp',
      },
    ],
  },
);
export type OfflineBody = Static<typeof OfflineBody>;

const OfflineAnswer = Type.Object(
  {
    path: Type.String({ description: 'The training set, on the server.' }),
    rows: Type.Integer({ description: 'One for each label row, in the same order.' }),
    bytes: Type.Integer(),
    format: choice(['parquet', 'csv', 'arrow'], 'Format of the file.'),
    manifest: Type.String({
      description: 'Path of the manifest, from which the file can be rebuilt and verified.',
    }),
    warnings: Type.Array(Type.String()),
  },
  { description: 'The training set.' },
);

export const offlineSchema = {
  operationId: 'buildTrainingSet',
  tags: ['features'],
  summary: 'Build a training set',
  description:
    'Joins features to labels, each as of the time of its row, and answers when the file is whole. Closing the connection stops the work.',
  body: OfflineBody,
  response: { 200: OfflineAnswer, ...BAD },
};

const SearchQuery = Type.Object(
  {
    q: optional(
      Type.String({
        maxLength: 1000,
        description: 'Words that name, view, description, tags or owner hold; beginnings count.',
        examples: ['spending'],
      }),
    ),
    entity: optional(name('Only features of this entity.', 'user')),
    owner: optional(name('Only features of this owner.', 'growth-team')),
    tag: optional(name('Only features with this tag.', 'pii')),
    limit: optional(
      Type.String({
        pattern: '^[1-9]\\d{0,4}$',
        description: 'Most features to give. Default: 100.',
        examples: ['20'],
      }),
    ),
  },
  strict,
);
export type SearchQuery = Static<typeof SearchQuery>;

const FeatureHit = Type.Object({
  ref: Type.String({ examples: ['customer_spending:avg_amount_7d'] }),
  view: Type.String(),
  feature: Type.String(),
  entity: Type.String(),
  dtype: Type.String({ examples: ['float64'] }),
  owner: Type.String(),
  description: Type.String(),
  tags: Type.Record(Type.String(), Type.String()),
  version: Type.Integer(),
});

export const searchSchema = {
  operationId: 'searchFeatures',
  tags: ['features'],
  summary: 'Find features',
  description: 'Lists registered features, the best matches first.',
  querystring: SearchQuery,
  response: {
    200: Type.Object({ features: Type.Array(FeatureHit) }, { description: 'What was found.' }),
    ...BAD,
  },
};

const FeatureParams = Type.Object({
  view: name('Name of the view.', 'customer_spending'),
  feature: name('Name of the feature.', 'avg_amount_7d'),
});
export type FeatureParams = Static<typeof FeatureParams>;

const MaybeTime = Type.Union([Type.String(), Type.Null()]);
const Freshness = Type.Object({
  within_ms: Type.Number({ description: 'How long an event may wait.', examples: [5000] }),
  state: choice(['fresh', 'stale', 'unknown'], 'unknown: nobody has looked lately.'),
  since: MaybeTime,
  looked_at: MaybeTime,
  lag_ms: Type.Union([Type.Number(), Type.Null()], {
    description: 'For how long an event had been waiting then.',
  }),
});

export const featureSchema = {
  operationId: 'showFeature',
  tags: ['features'],
  summary: 'One feature and its lineage',
  description:
    'What a feature is, which columns and features it comes from, and which services use it.',
  params: FeatureParams,
  response: {
    200: Type.Object(
      {
        ref: Type.String({ examples: ['customer_spending:avg_amount_7d'] }),
        entity: Type.Union([Type.String(), Type.Null()], {
          description: 'null for an on-demand feature.',
        }),
        dtype: Type.String(),
        description: Type.String(),
        owner: Type.String(),
        tags: Type.Record(Type.String(), Type.String()),
        version: Type.Integer(),
        freshness: Type.Union([Freshness, Type.Null()], {
          description:
            'What the feature or its view promises, and how it was last seen to be kept.',
        }),
        definition: Type.Unknown({ description: 'The feature as the model keeps it.' }),
        lineage: Type.Unknown({
          description: 'Sources and columns, features, services and models.',
        }),
      },
      { description: 'The feature.' },
    ),
    ...BAD,
  },
};

export const servicesSchema = {
  operationId: 'listServices',
  tags: ['services'],
  summary: 'Feature services',
  description:
    'Every version of every service that is kept, with what a request has to give and what comes back.',
  response: {
    200: Type.Object(
      {
        services: Type.Array(
          Type.Object({
            name: Type.String(),
            version: Type.Integer(),
            current: Type.Boolean(),
            model: Type.Union([Type.String(), Type.Null()]),
            owner: Type.String(),
            description: Type.String(),
            keys: Type.Record(Type.String(), Type.String(), {
              description: 'Key columns and their types.',
            }),
            request: Type.Record(Type.String(), Type.String(), {
              description: 'Request data and its types.',
            }),
            features: Type.Record(Type.String(), Type.String(), {
              description: 'Output names and their types.',
            }),
          }),
        ),
      },
      { description: 'The services.' },
    ),
    ...BAD,
  },
};

/** What a body of events may be. */
export const EVENT_TYPES = [
  'application/json',
  'application/x-ndjson',
  'application/vnd.apache.arrow.stream',
  'application/vnd.apache.arrow.file',
] as const;

const EventsQuery = Type.Object(
  {
    wait: optional(
      choice(
        ['durable', 'applied'],
        'When to answer: as soon as the events cannot be lost, or when reads see them. Default: as the source says.',
      ),
    ),
  },
  strict,
);
export type EventsQuery = Static<typeof EventsQuery>;

export const eventsSchema = {
  operationId: 'pushEvents',
  tags: ['events'],
  summary: 'Push events into a source',
  description:
    'Takes all events of the body or none. An event that was pushed before (the same event id) changes nothing, so a request may be repeated.',
  consumes: [...EVENT_TYPES],
  params: Type.Object({ source: name('Name of the source.', 'transactions') }, strict),
  querystring: EventsQuery,
  body: Type.Unknown({
    description:
      'Events in the columns of the source: a JSON array of objects (or one object), JSON lines, or an Arrow stream or file. `__op: "retract"` takes an event away.',
    examples: [[{ tx_id: 17, at: '2024-03-01T12:30:00Z', customer_id: 7, amount: 12.5 }]],
  }),
  response: {
    200: Pushed('The events are applied: reads see them.', 'applied'),
    202: Pushed('The events are durable, and will be applied.', 'durable'),
    ...BAD,
  },
};

function Pushed(description: string, state: string): TObject {
  return Type.Object(
    {
      source: Type.String({ examples: ['transactions'] }),
      rows: Type.Integer({ description: 'Events of the body.', examples: [1] }),
      state: Type.String({ examples: [state] }),
    },
    { description },
  );
}
