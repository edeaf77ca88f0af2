/** gRPC's door: calls over all three protocols, on the port of the HTTP server. */
import type { Server } from 'node:http';
import {
  createServer as createHttp2Server,
  type Http2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { bothVersions } from '../both_versions.ts';
import type { Context } from '../context.ts';
import type { CallOptions } from './calls.ts';
import { grpcDoor } from './grpc_door.ts';
import { ONLINE_CALL } from './online_call.ts';

export { callHandler } from './calls.ts';
export { connectDoor } from './connect_door.ts';
export { ONLINE_CALL } from './online_call.ts';
export { Received } from './received.ts';

/** What calls need, and limits of connections. */
export interface Http2Options extends CallOptions {
  /** A connection that says nothing at all for so long is closed. */
  readonly silentMs: number;
  /** A connection of HTTP/2 without a call under way for so long is closed. */
  readonly idleMs: number;
}

type StreamListener = (stream: ServerHttp2Stream, ...rest: unknown[]) => void;

/** What a session is used for. */
interface Use {
  /** Under way. */
  calls: number;
  /** It was without a call when it was last looked at, and has been since. */
  idle: boolean;
}

const HTTP2 = {
  // Streams of one connection at once; a client that wants more waits.
  settings: { maxConcurrentStreams: 256 },
  // Megabytes of answers that wait for one connection; by default, 10, one answer to some streams would end others.
  maxSessionMemory: 128,
};

/**
 * Has `server`, which speaks HTTP/1.1 and answers with `handler`, answer requests over HTTP/2, too; plain calls over gRPC have a door
 * of their own. When `closing` is aborted, connections of HTTP/2 take no more requests and end with those under way.
 */
export function serveHttp2(
  server: Server,
  handler: (request: any, response: any) => void,
  context: Context,
  options: Http2Options,
  closing: AbortSignal,
): void {
  const door = grpcDoor(context, options);
  const http2 = createHttp2Server(HTTP2, handler);
  const [toRequest] = http2.listeners('stream') as StreamListener[];
  http2.removeAllListeners('stream');
  const uses = new Map<Http2Session, Use>();
  http2.on('session', (session) => {
    uses.set(session, { calls: 0, idle: false });
    session.once('close', () => uses.delete(session));
  });
  // Not by the silence of the socket: a training set may be long in the making.
  const sweep = setInterval(() => {
    for (const [session, use] of uses) {
      if (use.idle) session.close();
      use.idle = use.calls === 0;
    }
  }, options.idleMs);
  sweep.unref();
  server.once('close', () => clearInterval(sweep));
  http2.on('stream', (stream: ServerHttp2Stream, headers, ...rest) => {
    const use = stream.session === undefined ? undefined : uses.get(stream.session);
    if (use === undefined || stream.closed) {
      // What came right behind the request has ended it, or its session: nobody waits for an answer.
      stream.on('error', () => {});
      stream.destroy();
      return;
    }
    use.calls++;
    use.idle = false;
    stream.on('close', () => use.calls--);
    if (headers[':path'] !== ONLINE_CALL || !door(stream, headers))
      toRequest!.call(http2, stream, headers, ...rest);
  });
  const both = bothVersions(server, http2, options.silentMs);
  closing.addEventListener('abort', () => both.close(), { once: true });
}
