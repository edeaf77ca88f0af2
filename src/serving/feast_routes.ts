/**
 * `POST /push` and `POST /write-to-online-store` as Feast's feature server has them, so that who pushes to Feast may push here. Both
 * append to the event log of a source, like `POST /api/v1/events/{source}`.
 */
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify';
import { SamewiseError } from '../base/errors.ts';
import type { Source } from '../model/definitions.ts';
import type { Context } from './context.ts';
import { coded, statusOf } from './errors.ts';
import {
  FEAST_TARGETS,
  type FeastPushBody,
  type FeastWriteBody,
  feastPushSchema,
  feastWriteSchema,
} from './feast_schemas.ts';
import { JSON_TYPE } from './schemas.ts';

/** What Feast calls the time of an event and of its row, in whatever source. */
const EVENT_TIME = 'event_timestamp';
const CREATED = ['created', 'created_timestamp'];

type Frame = FeastPushBody['df'];

/** A refusal in Feast's own words: its client raises the class. */
class FeastRefusal extends Error {
  readonly status: number;
  readonly feastClass: string | null;

  /** `feastClass`: null where Feast names none. */
  constructor(status: number, feastClass: string | null, message: string) {
    super(message);
    this.status = status;
    this.feastClass = feastClass;
  }
}

export function feastRoutes(app: FastifyInstance, context: Context): void {
  const { definitions, pushEvents, onFailure } = context;

  /** Feast's clients read what they have just pushed, so this waits for it wherever it should be online. */
  async function pushFrame(source: Source, frame: Frame, to: (typeof FEAST_TARGETS)[number]) {
    await pushEvents({
      source: source.name,
      contentType: 'application/json',
      body: new TextEncoder().encode(exactText(rowsOf(source, frame))),
      wait: to === 'offline' ? 'durable' : 'applied',
    });
  }

  app.register(async (scope) => {
    scope.setErrorHandler((error, request, reply) => {
      const { validation } = error as FastifyError;
      if (validation !== undefined) return sendInvalid(reply, validation);
      if (error instanceof FeastRefusal)
        return sendRefusal(reply, error.status, error.feastClass, error.message);
      const refusal = coded(error);
      const status = statusOf(refusal);
      if (status >= 500) onFailure(error, { method: request.method, url: request.url });
      return sendRefusal(reply, status, 'FeastError', said(refusal));
    });

    scope.post<{ Body: FeastPushBody }>(
      '/push',
      { schema: feastPushSchema },
      async ({ body }, reply) => {
        const { push_source_name: name, df, to = 'online' } = body;
        const target = FEAST_TARGETS.find((known) => known === to);
        if (target === undefined) {
          const known = FEAST_TARGETS.map((each) => `'${each}'`).join(', ');
          throw new FeastRefusal(
            422,
            null,
            `${to} is not a supported push format. Please specify one of these [${known}].`,
          );
        }
        const source = own((await definitions.newest()).catalog.sources, name);
        if (source === undefined) {
          throw new FeastRefusal(
            422,
            'PushSourceNotFoundException',
            `Unable to find push source '${name}'.`,
          );
        }
        await pushFrame(source, df, target);
        return reply.code(200).send();
      },
    );

    scope.post<{ Body: FeastWriteBody }>(
      '/write-to-online-store',
      { schema: feastWriteSchema },
      async ({ body }, reply) => {
        const { feature_view_name: name, df } = body;
        const { catalog } = await definitions.newest();
        const view = own(catalog.featureViews, name);
        if (view === undefined) {
          throw new FeastRefusal(
            404,
            'FeastObjectNotFoundException',
            `Can't recognize feast object with a name ${name}`,
          );
        }
        await pushFrame(catalog.sources[view.source]!, df, 'online');
        return reply.type(JSON_TYPE).send('null');
      },
    );
  });
}

/**
 * Columns as rows of a source: Feast's name of the event time is the source's own, and when a row was created is passed over where
 * the source does not ask for it.
 */
function rowsOf({ columns, eventTime }: Source, frame: Frame): Record<string, unknown>[] {
  const declared = new Set(columns.map(({ name }) => name));
  const named = Object.entries(frame).flatMap(([name, values]) => {
    if (declared.has(name)) return [[name, values] as const];
    if (name === EVENT_TIME && !(eventTime in frame)) return [[eventTime, values] as const];
    return CREATED.includes(name) ? [] : [[name, values] as const];
  });
  const length = named[0]?.[1].length ?? 0;
  const uneven = named.find(([, values]) => values.length !== length);
  if (uneven !== undefined) {
    throw new SamewiseError(
      'serving/bad-field',
      `df.${uneven[0]} has ${uneven[1].length} values and df.${named[0]![0]} has ${length}`,
      { where: { field: `df.${uneven[0]}` }, hint: 'give every column one value a row' },
    );
  }
  return Array.from({ length }, (_, row) =>
    Object.fromEntries(named.map(([name, values]) => [name, values[row]])),
  );
}

/** What TypeScript does not know of the platform's JSON: a text that is written as it is. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/** JSON in which a bigint keeps its digits. */
function exactText(rows: readonly Record<string, unknown>[]): string {
  return JSON.stringify(rows, (_, value) =>
    typeof value === 'bigint' ? rawJSON(String(value)) : value,
  );
}

function own<T>(of: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(of, name) ? of[name] : undefined;
}

/** A JSON text, which where Feast names a class is that of an object. */
function sendRefusal(
  reply: FastifyReply,
  status: number,
  feastClass: string | null,
  message: string,
): FastifyReply {
  const quoted = JSON.stringify;
  const text =
    feastClass === null
      ? message
      : `{"module": "feast.errors", "class": ${quoted(feastClass)}, "message": ${quoted(message)}}`;
  return reply.code(status).type(JSON_TYPE).send(quoted(text));
}

/** As FastAPI says that a body is not as its schema says. */
function sendInvalid(
  reply: FastifyReply,
  problems: NonNullable<FastifyError['validation']>,
): FastifyReply {
  const detail = problems.map(({ keyword, instancePath, params, message }) => {
    const path = ['body', ...instancePath.split('/').slice(1)];
    return keyword === 'required'
      ? { type: 'missing', loc: [...path, params.missingProperty], msg: 'Field required' }
      : { type: keyword, loc: path, msg: message };
  });
  return reply.code(422).type(JSON_TYPE).send(JSON.stringify({ detail }));
}

function said({ code, message, where, hint }: SamewiseError): string {
  const places = Object.entries(where).map(([what, which]) => `${what} ${which}`);
  return [
    `${message}${places.length === 0 ? '' : ` (${places.join(', ')})`} [${code}]`,
    ...(hint === undefined ? [] : [hint]),
  ].join('; ');
}
