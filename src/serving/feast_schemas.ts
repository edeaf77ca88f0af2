/** The shapes of requests and answers that Feast's clients know. What they send beyond it is passed over, as Feast does. */
import Type, { type Static, type TSchema } from 'typebox';

export const FEAST_TARGETS = ['online', 'offline', 'online_and_offline'] as const;

const Frame = Type.Record(Type.String(), Type.Array(Type.Unknown()), {
  description:
    'Columns of the source, each with one value a row. `event_timestamp` is the event time, whatever the source calls it; `created` and `created_timestamp` are passed over where the source has no such column.',
});
const DF = {
  driver_id: [1001],
  conv_rate: [0.92],
  event_timestamp: ['2024-03-01T12:30:00'],
};
const CacheFlag = Type.Optional(
  Type.Boolean({ description: 'Taken and not needed: definitions are never older than a second.' }),
);

const PushBody = Type.Object(
  {
    push_source_name: Type.String({ description: 'Name of the source.' }),
    df: Frame,
    to: Type.Optional(
      Type.String({
        description:
          'online (the default), offline, online_and_offline. The log feeds both in any case; it says what is waited for: with `offline` that the events are durable, else that reads see them.',
      }),
    ),
    allow_registry_cache: CacheFlag,
  },
  { examples: [{ push_source_name: 'driver_stats', df: DF, to: 'online_and_offline' }] },
);
export type FeastPushBody = Static<typeof PushBody>;

const WriteBody = Type.Object(
  {
    feature_view_name: Type.String({ description: 'Name of a view; its source takes the rows.' }),
    df: Frame,
    allow_registry_cache: CacheFlag,
  },
  { examples: [{ feature_view_name: 'driver_stats', df: DF }] },
);
export type FeastWriteBody = Static<typeof WriteBody>;

const ReadBody = Type.Object(
  {
    entities: Type.Record(Type.String(), Type.Array(Type.Unknown()), {
      description:
        'Key columns, and request data of on-demand features, each with one value an entity. Whole numbers are seconds where an instant or a date is meant. Columns that nothing asks for are passed over.',
    }),
    features: Type.Optional(Type.Array(Type.String(), { description: '`view:feature`.' })),
    feature_service: Type.Optional(
      Type.Union([Type.String(), Type.Null()], {
        description: 'Name of a service, or `name@version`; it goes before `features`.',
      }),
    ),
    full_feature_names: Type.Optional(
      Type.Boolean({ description: 'Call features `view__feature`.' }),
    ),
  },
  {
    examples: [{ entities: { driver_id: [1001, 1002] }, features: ['driver_stats:conv_rate'] }],
  },
);
export type FeastReadBody = Static<typeof ReadBody>;

const Views = Type.Optional(
  Type.Union([Type.Array(Type.String()), Type.Null()], {
    description: 'Names of views; all, if left out.',
  }),
);
const Instant = Type.Union([Type.String(), Type.Null()], {
  description: 'Checked, and not needed: pages hold all events, and a read says at which time.',
});

const MaterializeBody = Type.Object(
  {
    start_ts: Type.Optional(Instant),
    end_ts: Type.Optional(Instant),
    feature_views: Views,
    disable_event_timestamp: Type.Optional(Type.Boolean({ description: 'No range is given.' })),
  },
  { examples: [{ start_ts: '2024-01-01T00:00:00', end_ts: '2024-03-01T00:00:00' }] },
);
export type FeastMaterializeBody = Static<typeof MaterializeBody>;

const IncrementalBody = Type.Object(
  { end_ts: Type.String(), feature_views: Views },
  { examples: [{ end_ts: '2024-03-01T00:00:00', feature_views: ['driver_stats'] }] },
);
export type FeastIncrementalBody = Static<typeof IncrementalBody>;

const Refusal = Type.Unknown({
  description:
    'A JSON string that holds `{module, class, message}` as JSON, which Feast’s clients raise as an exception; or `{detail: […]}` for a body of another shape.',
  examples: [
    '{"module": "feast.errors", "class": "PushSourceNotFoundException", "message": "Unable to find push source \'nope\'."}',
  ],
});
const BAD: Readonly<Record<string, TSchema>> = { '4xx': Refusal, '5xx': Refusal };

export const feastPushSchema = {
  operationId: 'feastPush',
  tags: ['events'],
  summary: 'Push events, as to Feast',
  description:
    'What `POST /api/v1/events/{source}` does, for clients of Feast. The same rows again change nothing.',
  body: PushBody,
  response: { 200: Type.Null({ description: 'The events are taken. The body is empty.' }), ...BAD },
};

export const feastWriteSchema = {
  operationId: 'feastWriteToOnlineStore',
  tags: ['events'],
  summary: 'Write rows of a view, as to Feast',
  description:
    'The rows are events of the view’s source: every view of that source sees them, and so does history.',
  body: WriteBody,
  response: { 200: Type.Null({ description: 'Reads see the events.' }), ...BAD },
};

const Answer = Type.Object(
  {
    results: Type.Array(
      Type.Object({
        values: Type.Array(Type.Unknown()),
        statuses: Type.Array(Type.String()),
        event_timestamps: Type.Array(Type.String()),
      }),
    ),
    metadata: Type.Object({ feature_names: Type.Array(Type.String()) }),
    partial: Type.Optional(
      Type.Literal(true, { description: 'The deadline passed before all values came.' }),
    ),
  },
  { description: 'A column for each key, then for each feature.' },
);

export const feastReadSchema = {
  operationId: 'feastGetOnlineFeatures',
  tags: ['features'],
  summary: 'Read features, as from Feast',
  description:
    'What `POST /api/v1/services/{service}/vectors` reads, now, for clients of Feast. A float has a point (`7.0`), an int64 is bare digits, instants and dates are seconds. A default or a fallback is PRESENT, a value that is withheld because it is stale OUTSIDE_MAX_AGE, one that did not come in time NULL_VALUE.',
  body: ReadBody,
  response: { 200: Answer, ...BAD },
};

export const feastMaterializeSchema = {
  operationId: 'feastMaterialize',
  tags: ['operation'],
  summary: 'Materialise all of history, as Feast does a range of it',
  description: 'What `samewise materialize --full` does. The answer comes when it is done.',
  body: MaterializeBody,
  response: { 200: Type.Null({ description: 'Reads see history.' }), ...BAD },
};

export const feastIncrementalSchema = {
  operationId: 'feastMaterializeIncremental',
  tags: ['operation'],
  summary: 'Materialise what is new in history, as Feast does',
  description: 'What `samewise materialize` does. The answer comes when it is done.',
  body: IncrementalBody,
  response: { 200: Type.Null({ description: 'Reads see history.' }), ...BAD },
};

export const feastHealthSchema = {
  operationId: 'feastHealth',
  tags: ['operation'],
  summary: 'Health, as Feast says it',
  description: 'Whether definitions can be read.',
  response: { 200: Type.Null({ description: 'They can. The body is empty.' }), ...BAD },
};

export const feastSearchSchema = {
  operationId: 'feastSearch',
  tags: ['features'],
  summary: 'Search by vectors, as in Feast',
  description: 'Refused: there is none here.',
  response: BAD,
};
