/** gRPC's door: calls over all three protocols, on the port of the HTTP server. */
import type { Server } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { bothVersions } from '../both_versions.ts';
import type { Context } from '../context.ts';
import { callHandler } from './calls.ts';

/** Limits of connections and of messages. */
export interface Http2Options {
  /** Largest message that is read, in bytes. */
  readonly maxMessageBytes: number;
  /** A connection that says nothing at all for so long is closed. */
  readonly silentMs: number;
  /** A connection of HTTP/2 without a call under way for so long is closed. */
  readonly idleMs: number;
}

/** Streams of one connection at once; a client that wants more waits. */
const MAX_STREAMS = 256;

/**
 * Has `server`, which speaks HTTP/1.1, answer calls, and all of its requests over HTTP/2, too. When `closing` is aborted,
 * connections of HTTP/2 take no more requests and end with those under way.
 */
export function serveCalls(
  server: Server,
  context: Context,
  options: Http2Options,
  closing: AbortSignal,
): void {
  const calls = callHandler(context, options.maxMessageBytes, closing);
  const others = server.listeners('request') as ((request: unknown, response: unknown) => void)[];
  const onRequest = (request: any, response: any) => {
    if (!calls(request, response))
      for (const other of others) other.call(server, request, response);
  };
  server.removeAllListeners('request');
  server.on('request', onRequest);
  const http2 = createHttp2Server({ settings: { maxConcurrentStreams: MAX_STREAMS } }, onRequest);
  http2.setTimeout(options.idleMs);
  const both = bothVersions(server, http2, options.silentMs);
  closing.addEventListener('abort', () => both.close(), { once: true });
}
