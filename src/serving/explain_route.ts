/** `GET /api/v1/explain`: why a feature has its value. What there is to say is found in app/; this reads what is asked. */
import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import { printRef } from '../model/index.ts';
import type { Scalar } from '../types/scalar.ts';
import type { Context } from './context.ts';
import type { Revision } from './definitions.ts';
import { parseExactJson } from './json.ts';
import { keyFromQuery } from './keys.ts';
import { ErrorAnswer } from './schemas.ts';
import { readTime } from './times.ts';

/** Explains one feature of one entity; the answer is plain data for `JSON.stringify`. */
export type Explain = (request: {
  /** `view:feature`; with a service the name of one of its outputs. */
  readonly feature: string;
  /** `name` or `name@version`. */
  readonly service: string | null;
  /** Key columns and request data, by name. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly atUs: InstantUs;
  readonly through: boolean;
  /** How many of the events that counted are told; null: as many as usual. */
  readonly events: number | null;
}) => Promise<object>;

/** Most events that one answer tells of each feature. */
const MAX_EVENTS = 1_000;

const text = (description: string, example: string) =>
  Type.String({ minLength: 1, maxLength: 8192, description, examples: [example] });

const Query = Type.Object(
  {
    feature: text(
      '`view:feature`; with `entity` a bare name will do, with `service` it is the name of one of its outputs.',
      'customer_spending:avg_amount_7d',
    ),
    entity: Type.Optional(text('Name of the entity that `id` is a key of.', 'customer')),
    id: Type.Optional(
      Type.Union([Type.String({ maxLength: 8192 }), Type.Array(Type.String({ maxLength: 8192 }))], {
        description: 'The key of the entity, as reading features takes it.',
        examples: ['7'],
      }),
    ),
    service: Type.Optional(text('A service: `name`, or `name@version`.', 'fraud_v1')),
    inputs: Type.Optional(
      text(
        'Key columns and request data of on-demand features, as a JSON object; what `id` does not say.',
        '{"customer_id":7,"amount":25}',
      ),
    ),
    at: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: 'As of this time: ISO 8601 or whole microseconds since 1970. Default: now.',
        examples: ['2024-03-01T12:30:00Z'],
      }),
    ),
    through: Type.Optional(
      Type.Unsafe<'true' | 'false'>({
        type: 'string',
        enum: ['true', 'false'],
        description: 'Events at exactly `at` count too.',
      }),
    ),
    events: Type.Optional(
      Type.String({
        pattern: '^\\d{1,4}$',
        description: `How many of the events that counted are told, the newest first; at most ${MAX_EVENTS}. Default: 20.`,
        examples: ['20'],
      }),
    ),
  },
  { additionalProperties: false },
);
type Query = Static<typeof Query>;

const explainSchema = {
  operationId: 'explainFeature',
  tags: ['features'],
  summary: 'Why a feature has its value',
  description:
    'The definition, the edges of the window, the events that counted (newest first, with their inputs, arrivals and places in the log), what the page is merged from, how fresh it is, and the value computed again from history: the same, or which events make the difference. History is scanned for it: it is for people, not for serving.',
  querystring: Query,
  response: {
    200: Type.Object(
      {
        feature: Type.String(),
        name: Type.String(),
        at: Type.String(),
        value: Type.Unknown({ description: 'As it is served, after defaults.' }),
        status: Type.String({ description: 'Whether it is its own, or what stands in for it.' }),
        recomputed: Type.Unknown({ description: 'As history says.' }),
        agrees: Type.Boolean(),
        lookups: Type.Array(Type.Record(Type.String(), Type.Unknown()), {
          description: 'Each feature that was read of a page, what it needs first.',
        }),
        computations: Type.Array(Type.Record(Type.String(), Type.Unknown()), {
          description: 'Each feature that was computed of these, with its expression and inputs.',
        }),
      },
      { description: 'Where the value comes from.' },
    ),
    '4xx': ErrorAnswer,
    '5xx': ErrorAnswer,
  },
};

export function explainRoute(app: FastifyInstance, context: Context): void {
  const { clock, definitions, explain } = context;
  app.get<{ Querystring: Query }>(
    '/api/v1/explain',
    { schema: explainSchema },
    async ({ query }) => {
      const { service = null, at, through, events } = query;
      const { feature, key } = await askedOf(await definitions.newest(), query);
      const { atUs } = readTime(clock, at, false);
      const told = events === undefined ? null : Number(events);
      if (told !== null && told > MAX_EVENTS)
        throw new SamewiseError('serving/bad-field', `at most ${MAX_EVENTS} events are told`, {
          where: { field: 'events' },
        });
      const given = { ...key, ...inputsIn(query.inputs) };
      return explain({ feature, service, given, atUs, through: through === 'true', events: told });
    },
  );
}

/** The feature by its full name, and the key columns that `id` gives. */
async function askedOf(
  revision: Revision,
  { feature, entity: name, id, service }: Query,
): Promise<{ feature: string; key: Record<string, Scalar> }> {
  if (name === undefined && id === undefined) return { feature, key: {} };
  if (name === undefined || id === undefined)
    throw new SamewiseError('serving/missing-field', 'entity and id belong together', {
      where: { field: name === undefined ? 'entity' : 'id' },
    });
  if (service !== undefined)
    throw new SamewiseError('serving/bad-field', 'a service is asked by its own key columns', {
      where: { field: 'entity' },
      hint: 'give them as inputs={"customer_id":7}',
    });
  const { entity, members } = revision.asked(name, feature);
  const [member] = members;
  const parts = keyFromQuery(entity, id);
  return {
    feature: printRef(member!.view, member!.features![0]!),
    key: Object.fromEntries(entity.key.map((field, i) => [field.name, parts[i]!])),
  };
}

function inputsIn(inputs: string | undefined): Record<string, unknown> {
  if (inputs === undefined) return {};
  const given = parseExactJson(inputs);
  if (given === null || typeof given !== 'object' || Array.isArray(given))
    throw new SamewiseError('serving/bad-field', 'inputs is not a JSON object', {
      where: { field: 'inputs' },
    });
  return given as Record<string, unknown>;
}
