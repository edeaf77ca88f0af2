/** The shapes of training over HTTP, for checking requests and for the OpenAPI document. */
import Type, { type Static } from 'typebox';
import { BAD, choice, name, optional, strict } from './schemas.ts';
import { LABEL_TYPES } from './training.ts';

export const ARROW_STREAM = 'application/vnd.apache.arrow.stream';

const Id = (description: string) =>
  Type.String({ pattern: '^[A-Za-z0-9_-]{8,64}$', description, examples: ['0b7e5f2c-churn-may'] });

const TrainingQuery = Type.Object(
  {
    service: optional(name('A feature service: `name` or `name@version`.', 'fraud_v1')),
    features: optional(
      Type.String({
        minLength: 1,
        description: 'Instead of a service: `view:feature`, separated by commas.',
        examples: ['customer_spending:avg_amount_7d,customer_spending:tx_count_1d'],
      }),
    ),
    full_names: optional(
      choice(['true', 'false'], 'Features of a list are called `view__feature`.'),
    ),
    at_column: name('The label column that holds the time of each row.', 'at'),
    through: optional(choice(['true', 'false'], 'Count events at exactly the time of a row too.')),
    knowledge: optional(
      choice(
        ['final', 'as-served'],
        'All that is known now (final, the default), or only what had arrived before the time of the row.',
      ),
    ),
    id: optional(Id('What to call the training set, to ask how far it is. Default: one is made.')),
  },
  strict,
);
export type TrainingQuery = Static<typeof TrainingQuery>;

const HEADERS = {
  'x-samewise-training': 'Id of the training set.',
  'x-samewise-manifest': 'Its manifest in the output folder of the server, for `samewise rebuild`.',
  'x-samewise-rows': 'Rows of the answer, of which the Content-Length is known as well.',
  'x-samewise-features': 'How many of the columns, from the last, are features.',
  'x-samewise-warnings': 'A JSON array of what one should know about it.',
};

export const trainingSchema = {
  operationId: 'train',
  tags: ['features'],
  summary: 'Features for labels',
  description:
    'Takes labels (an Arrow stream, Parquet, CSV or JSON lines) and answers with the same rows in the same order, each with its features as of its time, as an Arrow stream. Closing the connection stops the work.',
  consumes: Object.keys(LABEL_TYPES),
  querystring: TrainingQuery,
  body: Type.Unknown({
    description:
      'The labels: the key columns, the request data and the time; other columns pass through.',
    examples: ['customer_id,at\n7,2024-03-20T12:00:00Z\n'],
  }),
  response: {
    200: {
      description: 'The training set.',
      headers: Object.fromEntries(
        Object.entries(HEADERS).map(([header, description]) => [
          header,
          { type: 'string', description },
        ]),
      ),
      content: { [ARROW_STREAM]: { schema: { type: 'string', format: 'binary' } } },
    },
    ...BAD,
  },
};

const TrainingParams = Type.Object({ id: Id('The id that was given with the labels.') }, strict);
export type TrainingParams = Static<typeof TrainingParams>;

export const trainingProgressSchema = {
  operationId: 'showTraining',
  tags: ['features'],
  summary: 'How far a training set is',
  description: 'Of one that is being made, by whichever process of the server.',
  params: TrainingParams,
  response: {
    200: Type.Object(
      {
        phase: Type.String({
          description: 'receive, labels, scan <source>, join <view> or write.',
          examples: ['join customer_spending'],
        }),
        done: Type.Number({ description: 'Rows of this phase; while receiving, bytes.' }),
        total: Type.Union([Type.Number(), Type.Null()], { description: 'Of how many.' }),
      },
      { description: 'How far it is.' },
    ),
    ...BAD,
  },
};
