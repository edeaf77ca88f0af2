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
