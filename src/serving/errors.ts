/** What went wrong, as HTTP: a status and one shape of body, `{error: {code, message, field?, hint?, where?}}`. */
import { STATUS_CODES } from 'node:http';
import type { FastifyError } from 'fastify';
import { nearest, SamewiseError, type Where } from '../base/errors.ts';

/** Statuses of single codes; the others go by their area. */
const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  'serving/forbidden-path': 403,
  'serving/unknown-route': 404,
  'serving/unknown-format': 400,
  'serving/request-timeout': 408,
  'serving/body-too-large': 413,
  'serving/unsupported-media-type': 415,
  'serving/header-too-large': 431,
  'serving/name-taken': 409,
  'serving/overloaded': 429,
  'serving/internal': 500,
  'serving/not-ready': 503,
  'serving/stale-feature': 503,
  'serving/unsettled-page': 503,
  'registry/stale-plan': 409,
  'timeline/beyond-retention': 400,
  'offline/write-failed': 500,
  'stream/unreachable': 503,
  'stream/unavailable': 503,
  'stream/not-applied-yet': 503,
};

/** What an area's errors say: the request is wrong (400), our data are (500), or something that we need is away (503). */
const STATUS_BY_AREA: Readonly<Record<string, number>> = {
  serving: 400,
  types: 400,
  time: 400,
  model: 400,
  expr: 400,
  dsl: 400,
  plan: 400,
  app: 400,
  offline: 400,
  aggregate: 500,
  timeline: 500,
  base: 500,
  stream: 400,
  online: 503,
  registry: 503,
};

/** Areas in which `unknown-…` says that something asked by name does not exist. */
const NAMING_AREAS = ['serving', 'model', 'plan', 'app'];

/** The HTTP status of a coded error. */
export function statusOf(error: SamewiseError): number {
  const exact = STATUS_BY_CODE[error.code];
  if (exact !== undefined) return exact;
  const [area, what] = error.code.split('/') as [string, string];
  if (NAMING_AREAS.includes(area) && what.startsWith('unknown-')) {
    return what === 'unknown-field' ? 400 : 404;
  }
  return STATUS_BY_AREA[area] ?? 500;
}

export interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly field?: string;
    readonly hint?: string;
    readonly where?: Where;
    readonly request_id?: string;
  };
}

/** The body of a coded error. */
export function errorBody(error: SamewiseError, requestId?: string): ErrorBody {
  const { field, ...where } = error.where;
  return {
    error: {
      code: error.code,
      message: error.message,
      ...((field ?? where.column) === undefined ? {} : { field: field ?? where.column }),
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(Object.keys(where).length === 0 ? {} : { where }),
      ...(requestId === undefined ? {} : { request_id: requestId }),
    },
  };
}

/** A whole answer of HTTP/1.1, the last on its connection, for what never became a request. */
export function rawRefusal(error: SamewiseError): string {
  const body = JSON.stringify(errorBody(error));
  const status = statusOf(error);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}

/** What Node says of bytes that are no request, or never became a whole one. */
export function connectionRefusal(nodeCode: string | undefined): SamewiseError {
  switch (nodeCode) {
    case 'HPE_HEADER_OVERFLOW':
      return new SamewiseError(
        'serving/header-too-large',
        'the request line and headers are too long',
        { hint: 'ask for fewer features, or use a feature service' },
      );
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new SamewiseError('serving/request-timeout', 'the request comes too slowly');
    default:
      return new SamewiseError('serving/bad-request', 'this is not an HTTP request');
  }
}

/**
 * Any thrown value as a coded error. Fastify's own refusals get our codes; what nobody foresaw is `serving/internal`,
 * whose message tells a client nothing (the caller logs the original).
 */
export function coded(error: unknown): SamewiseError {
  if (error instanceof SamewiseError) return error;
  const { code, validation, validationContext, statusCode, message } = error as FastifyError;
  if (validation !== undefined) return invalidRequest(validation[0]!, validationContext ?? 'body');
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new SamewiseError('serving/body-too-large', 'the body is larger than is allowed', {
        hint: 'send fewer entities or events in one request',
      });
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new SamewiseError(
        'serving/unsupported-media-type',
        'the body’s Content-Type is not one that is read here',
        { hint: 'send Content-Type: application/json; events may be JSON lines or Arrow, too' },
      );
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new SamewiseError('serving/bad-request', 'a name in the path is too long');
    default:
      if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
        return new SamewiseError('serving/bad-request', message);
  }
  return new SamewiseError('serving/internal', 'something went wrong inside the server', {
    hint: 'the server log has more',
  });
}

type Invalid = NonNullable<FastifyError['validation']>[number] & {
  parentSchema?: { properties?: Record<string, unknown> };
};

/** The first complaint of a schema as an error that names the field. */
function invalidRequest(problem: Invalid, context: string): SamewiseError {
  const path = problem.instancePath.slice(1).replaceAll('/', '.');
  const inside = (name: unknown) => (path === '' ? String(name) : `${path}.${name}`);
  const place = context === 'querystring' ? 'the query' : `the ${context}`;
  const params = problem.params as Record<string, unknown>;
  switch (problem.keyword) {
    case 'required': {
      const field = inside(params.missingProperty);
      return new SamewiseError('serving/missing-field', `${place} lacks ${field}`, {
        where: { field },
      });
    }
    case 'additionalProperties': {
      const name = String(params.additionalProperty);
      const known = Object.keys(problem.parentSchema?.properties ?? {});
      const near = nearest(name, known);
      return new SamewiseError(
        'serving/unknown-field',
        `${place} has no field called ${JSON.stringify(inside(name))}`,
        {
          where: { field: inside(name) },
          hint: near === undefined ? `fields are: ${known.join(', ')}` : `did you mean ${near}?`,
        },
      );
    }
    default: {
      const allowed = (params.allowedValues ?? params.allowedValue) as unknown;
      return new SamewiseError(
        'serving/bad-field',
        `${path === '' ? place : path} ${problem.message ?? 'is not valid'}`,
        {
          where: path === '' ? {} : { field: path },
          hint: allowed === undefined ? undefined : `use ${[allowed].flat().join(' or ')}`,
        },
      );
    }
  }
}
