/**
 * Feast's feature server, as its clients know it: they read, push and materialise here by changing a URL. What is pushed is
 * appended to the event log of a source, like `POST /api/v1/events/{source}`; what is read is what every protocol reads.
 */
import type { FastifyError, FastifyInstance } from 'fastify';
import { SamewiseError } from '../base/errors.ts';
import { parseInstant } from '../base/time.ts';
import type { Source } from '../model/definitions.ts';
import type { Context } from './context.ts';
import { coded, statusOf } from './errors.ts';
import { FEAST_READ_PATH, readFeast } from './feast_read.ts';
import { FeastRefusal, refusalOf, sendInvalid, sendRefusal } from './feast_refusal.ts';
import {
  FEAST_TARGETS,
  type FeastIncrementalBody,
  type FeastMaterializeBody,
  type FeastPushBody,
  type FeastReadBody,
  type FeastWriteBody,
  feastHealthSchema,
  feastIncrementalSchema,
  feastMaterializeSchema,
  feastPushSchema,
  feastReadSchema,
  feastSearchSchema,
  feastWriteSchema,
} from './feast_schemas.ts';
import { fromFeast } from './feast_values.ts';
import type { HandedOver } from './handed_over.ts';
import { JSON_TYPE } from './schemas.ts';
import { termsOf } from './terms.ts';

/** What Feast calls the time of an event and of its row, in whatever source. */
const EVENT_TIME = 'event_timestamp';
const CREATED = ['created', 'created_timestamp'];

type Frame = FeastPushBody['df'];

/** Of the requests that read, some were begun elsewhere. */
export function feastRoutes(app: FastifyInstance, context: Context, handed: HandedOver): void {
  const { definitions, materialize, pushEvents, onFailure } = context;

  /** Feast's clients read what they have just pushed, so this waits for it wherever it should be online. */
  async function pushFrame(source: Source, frame: Frame, to: (typeof FEAST_TARGETS)[number]) {
    await pushEvents({
      source: source.name,
      contentType: 'application/json',
      body: new TextEncoder().encode(exactText(rowsOf(source, frame))),
      wait: to === 'offline' ? 'durable' : 'applied',
    });
  }

  async function materializeViews(views: readonly string[] | null | undefined, full: boolean) {
    const { catalog } = await definitions.newest();
    const unknown = views?.find((name) => own(catalog.featureViews, name) === undefined);
    if (unknown !== undefined) throw unknownView(unknown);
    await materialize({ views: views ?? null, full });
  }

  app.register(async (scope) => {
    scope.setErrorHandler((error, request, reply) => {
      const { validation } = error as FastifyError;
      if (validation !== undefined) return sendInvalid(reply, validation);
      if (error instanceof FeastRefusal) return sendRefusal(reply, error);
      const refusal = coded(error);
      const status = statusOf(refusal);
      if (status >= 500) onFailure(error, { method: request.method, url: request.url });
      if (status === 429) reply.header('retry-after', '1');
      return sendRefusal(reply, refusalOf(refusal, status));
    });

    scope.post<{ Body: FeastReadBody }>(
      FEAST_READ_PATH,
      { schema: feastReadSchema, preParsing: handed.hook },
      async (request, reply) => {
        const revision = await definitions.newest();
        reply.header('content-type', JSON_TYPE);
        const readUs = context.clock.nowUs();
        return (await readFeast(context, revision, request.body, readUs, termsOf(request))).text;
      },
    );

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

    scope.post<{ Body: FeastMaterializeBody }>(
      '/materialize',
      { schema: feastMaterializeSchema },
      async ({ body }, reply) => {
        checkRange(body);
        await materializeViews(body.feature_views, true);
        return reply.type(JSON_TYPE).send('null');
      },
    );

    scope.post<{ Body: FeastIncrementalBody }>(
      '/materialize-incremental',
      { schema: feastIncrementalSchema },
      async ({ body }, reply) => {
        parseInstant(body.end_ts);
        await materializeViews(body.feature_views, false);
        return reply.type(JSON_TYPE).send('null');
      },
    );

    scope.get('/health', { schema: feastHealthSchema }, async (_, reply) => {
      try {
        await definitions.newest();
      } catch (cause) {
        throw new SamewiseError('serving/not-ready', 'the registry cannot be reached', { cause });
      }
      return reply.code(200).send();
    });

    scope.post('/search', { schema: feastSearchSchema }, async () => {
      throw new SamewiseError('serving/no-vector-search', 'there is no search by vectors here');
    });
  });
}

function unknownView(name: string): FeastRefusal {
  return new FeastRefusal(
    404,
    'FeatureViewNotFoundException',
    `Feature view ${name} does not exist`,
  );
}

/** Whoever names a range has to name one that is. */
function checkRange({ start_ts, end_ts, disable_event_timestamp }: FeastMaterializeBody): void {
  if (disable_event_timestamp === true) return;
  const lacking = start_ts ? (end_ts ? undefined : 'end_ts') : 'start_ts';
  if (lacking !== undefined) {
    throw new SamewiseError(
      'serving/missing-field',
      'start_ts and end_ts are required when disable_event_timestamp is False',
      { where: { field: lacking } },
    );
  }
  if (parseInstant(start_ts!) >= parseInstant(end_ts!)) {
    throw new SamewiseError(
      'serving/bad-field',
      `start_ts (${start_ts}) must be before end_ts (${end_ts})`,
      { where: { field: 'start_ts' } },
    );
  }
}

/**
 * Columns as rows of a source: Feast's name of the event time is the source's own, and when a row was created is passed over where
 * the source does not ask for it.
 */
function rowsOf({ columns, eventTime }: Source, frame: Frame): Record<string, unknown>[] {
  const dtypes = new Map(columns.map(({ name, dtype }) => [name, dtype]));
  const named = Object.entries(frame).flatMap(([given, values]) => {
    const isTime = given === EVENT_TIME && !dtypes.has(given) && !(eventTime in frame);
    const name = isTime ? eventTime : given;
    const dtype = dtypes.get(name);
    if (dtype !== undefined)
      return [[name, values.map((value) => fromFeast(value, dtype))] as const];
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
