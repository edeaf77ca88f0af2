/**
 * `POST /api/v1/services/{service}/vectors` and `POST /api/v1/features/vectors`: the vectors of many entities by service or by a
 * list of features, with request data for on-demand features.
 */
import type { FastifyInstance } from 'fastify';
import { formatInstant } from '../base/time.ts';
import type { MaybePromise } from '../online/contract.ts';
import { printDtype } from '../types/dtype.ts';
import { plainScalar, scalarFromJson } from '../types/json.ts';
import type { Scalar } from '../types/scalar.ts';
import { type Columns, caveatsText, columnTexts, vectorTexts } from './answer.ts';
import type { Question } from './ask.ts';
import type { Context } from './context.ts';
import type { Chosen, Revision } from './definitions.ts';
import type { HandedOver } from './handed_over.ts';
import { missingField, unknownField } from './request_fields.ts';
import {
  JSON_TYPE,
  type ListBody,
  listSchema,
  type ServiceParams,
  type VectorsBody,
  vectorsSchema,
} from './schemas.ts';
import type { ServiceProgram } from './service_program.ts';
import { termsOf } from './terms.ts';
import { readTime } from './times.ts';
import type { Vectors } from './vector.ts';

export const SERVICE_VECTORS_PATH = '/api/v1/services/:service/vectors';

/** The answer to a request, at once where reading ends at once. Throws or rejects as `requestRow` and `Ask.vectors` do. */
export function readVectors(
  { clock, ask }: Pick<Context, 'clock' | 'ask'>,
  revision: Revision,
  { program, columns, service }: Chosen,
  { entities, at, through, full, types, orientation }: VectorsBody,
  terms: Pick<Question, 'untilMs' | 'requestId'>,
): MaybePromise<string> {
  const rows = entities.map((entity, i) => requestRow(program, entity, i));
  const { atUs, readUs } = readTime(clock, at, through === true);
  const write = (vectors: Vectors): string => {
    const [name, write] =
      orientation === 'columns'
        ? (['columns', columnTexts] as const)
        : (['vectors', vectorTexts] as const);
    const { values, statuses, eventTimes } = write(vectors, columns, full === true);
    const extra = full === true ? `,"statuses":${statuses},"event_times":${eventTimes}` : '';
    const typed = types === true ? `,"types":${typesText(columns)}` : '';
    const of = service === null ? '' : `"service":"${service.name}","version":${service.version},`;
    return `{${of}"at":"${formatInstant(atUs)}"${caveatsText(vectors, columns)},"${name}":${values}${extra}${typed}}`;
  };
  const vectors = ask.vectors({ revision, program, rows, readUs, ...terms });
  return vectors instanceof Promise ? vectors.then(write) : write(vectors);
}

/** Of those by service, some were begun elsewhere. */
export function vectorsRoute(app: FastifyInstance, context: Context, handed: HandedOver): void {
  const { definitions } = context;
  app.post<{ Params: ServiceParams; Body: VectorsBody }>(
    SERVICE_VECTORS_PATH,
    { schema: vectorsSchema, preParsing: handed.hook },
    async (request, reply) => {
      const revision = await definitions.newest();
      reply.header('content-type', JSON_TYPE);
      const service = revision.service(request.params.service);
      return readVectors(context, revision, service, request.body, termsOf(request));
    },
  );
  app.post<{ Body: ListBody }>(
    '/api/v1/features/vectors',
    { schema: listSchema },
    async (request, reply) => {
      const { features, full_names } = request.body;
      const revision = await definitions.newest();
      reply.header('content-type', JSON_TYPE);
      const list = revision.list(features.join(), full_names === true);
      return readVectors(context, revision, list, request.body, termsOf(request));
    },
  );
}

/**
 * One entity of a request in the order and types of the program's inputs. `place`: what to call it, or its position in `entities`. A key column or request field that is left out is
 * `serving/missing-field` (null says that it is not known), a name that means nothing is `serving/unknown-field`.
 */
export function requestRow(
  program: ServiceProgram,
  entity: Readonly<Record<string, unknown>>,
  place: string | number,
): (Scalar | null)[] {
  const { inputs } = program;
  const placeOf = (name: string) =>
    `${typeof place === 'string' ? place : `entities[${place}]`}.${name}`;
  const row: (Scalar | null)[] = [];
  for (let i = 0; i < inputs.length; i++) {
    const { name, dtype } = inputs[i]!;
    const value = Object.hasOwn(entity, name) ? entity[name] : undefined;
    if (value === undefined) throw missingField(program, name, placeOf(name));
    row.push(plainScalar(value, dtype) ?? scalarFromJson(value, dtype, { field: placeOf(name) }));
  }
  const names = Object.keys(entity);
  if (names.length > inputs.length) {
    const known = inputs.map(({ name }) => name);
    const name = names.find((candidate) => !known.includes(candidate))!;
    throw unknownField(program, name, placeOf(name));
  }
  return row;
}

function typesText({ labels, dtypes }: Columns): string {
  return `{${labels.map((label, i) => `${label}"${printDtype(dtypes[i]!)}"`).join('')}}`;
}
