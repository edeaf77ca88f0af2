/**
 * `POST /api/v1/services/{service}/vectors` and `POST /api/v1/features/vectors`: the vectors of many entities by service or by a
 * list of features, with request data for on-demand features.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { formatInstant } from '../base/time.ts';
import { printDtype } from '../types/dtype.ts';
import { scalarFromJson } from '../types/json.ts';
import type { Scalar } from '../types/scalar.ts';
import { type Columns, caveatsText, columnTexts, vectorTexts } from './answer.ts';
import type { Context } from './context.ts';
import type { Chosen, Revision } from './definitions.ts';
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

export function vectorsRoute(app: FastifyInstance, { clock, definitions, ask }: Context): void {
  const answer = async (
    request: FastifyRequest<{ Body: VectorsBody }>,
    revision: Revision,
    { program, columns, service }: Chosen,
  ): Promise<string> => {
    const { entities, at, through, full, types, orientation } = request.body;
    const rows = entities.map((entity, i) => requestRow(program, entity, `entities[${i}]`));
    const { atUs, readUs } = readTime(clock, at, through === true);
    const vectors = await ask.vectors({ revision, program, rows, readUs, ...termsOf(request) });
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
  app.post<{ Params: ServiceParams; Body: VectorsBody }>(
    '/api/v1/services/:service/vectors',
    { schema: vectorsSchema },
    async (request, reply) => {
      const revision = await definitions.newest();
      reply.header('content-type', JSON_TYPE);
      return answer(request, revision, revision.service(request.params.service));
    },
  );
  app.post<{ Body: ListBody }>(
    '/api/v1/features/vectors',
    { schema: listSchema },
    async (request, reply) => {
      const { features, full_names } = request.body;
      const revision = await definitions.newest();
      reply.header('content-type', JSON_TYPE);
      return answer(request, revision, revision.list(features.join(), full_names === true));
    },
  );
}

/**
 * One entity of a request in the order and types of the program's inputs. A key column or request field that is left out is
 * `serving/missing-field` (null says that it is not known), a name that means nothing is `serving/unknown-field`.
 */
export function requestRow(
  program: ServiceProgram,
  entity: Readonly<Record<string, unknown>>,
  place: string,
): (Scalar | null)[] {
  const { inputs } = program;
  let given = 0;
  const row = inputs.map(({ name, dtype }): Scalar | null => {
    const value = Object.hasOwn(entity, name) ? entity[name] : undefined;
    if (value === undefined) throw missingField(program, name, `${place}.${name}`);
    given++;
    return scalarFromJson(value, dtype, { field: `${place}.${name}` });
  });
  const names = Object.keys(entity);
  if (names.length > given) {
    const known = inputs.map(({ name }) => name);
    const name = names.find((candidate) => !known.includes(candidate))!;
    throw unknownField(program, name, `${place}.${name}`);
  }
  return row;
}

function typesText({ labels, dtypes }: Columns): string {
  return `{${labels.map((label, i) => `${label}"${printDtype(dtypes[i]!)}"`).join('')}}`;
}
