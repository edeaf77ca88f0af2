/** What holds for every route: request ids, entity tags, compression, bodies that come too slowly, the last answer on a connection. */
import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { constants as http2, type ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:zlib';
import compress from '@fastify/compress';
import type { FastifyInstance } from 'fastify';
import { SamewiseError } from '../base/errors.ts';
import type { Bodies } from './bodies.ts';
import { rawRefusal } from './errors.ts';
import { COMPRESSED_FROM_BYTES } from './http_limits.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The answer says the same until something is registered anew: clients may ask whether it still does. */
    etag?: boolean;
  }
}

/** To be called before there are routes; `bodies` is asked about each that comes, `isDraining` says whether the next answer on a connection is its last. */
export async function everyRoute(
  app: FastifyInstance,
  bodies: Bodies,
  isDraining: () => boolean,
): Promise<void> {
  const endWatch = bodies.watch();
  app.addHook('onClose', async () => endWatch());
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    if (request.raw.method !== 'GET') bodies.begin(request.raw);
    done();
  });
  app.addHook('onSend', (request, reply, payload, done) => {
    // HTTP/2 has its own way to say so.
    if (isDraining() && request.raw.httpVersionMajor === 1) reply.header('connection', 'close');
    const { etag } = request.routeOptions.config;
    if (etag !== true || reply.statusCode !== 200 || typeof payload !== 'string')
      return done(null, payload);
    // Weak: compressed or not, it says the same.
    const tag = `W/"${hash('sha1', payload, 'base64url')}"`;
    reply.header('etag', tag);
    if (!matches(request.headers['if-none-match'], tag)) return done(null, payload);
    reply.code(304).removeHeader('content-type');
    done(null, '');
  });
  await app.register(compress, {
    globalDecompression: false,
    encodings: ['br', 'gzip'],
    threshold: COMPRESSED_FROM_BYTES,
    // Arrow is compressed by its own means.
    customTypes: /^application\/json|^text\/plain/,
    // More takes several times as long and saves a tenth.
    zlibOptions: { level: constants.Z_BEST_SPEED },
    brotliOptions: { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } },
  });
}

function matches(asked = '', tag: string): boolean {
  return asked.split(',').some((one) => one.trim() === tag || one.trim() === '*');
}

/** Ends a request whose body comes too slowly. */
export function endSlow(request: IncomingMessage): void {
  const error = new SamewiseError('serving/request-timeout', 'the request comes too slowly', {
    hint: 'send a body without pauses',
  });
  const { stream } = request as { stream?: ServerHttp2Stream };
  // A request of HTTP/2 that is destroyed leaves its stream open.
  if (stream !== undefined) stream.close(http2.NGHTTP2_ENHANCE_YOUR_CALM);
  else request.socket.write(rawRefusal(error));
  request.destroy();
}
