/**
 * HTTP/1.1 and HTTP/2 on one port without TLS: a client of HTTP/2 begins with a preface that no request of HTTP/1.1 begins
 * with, so the first bytes of a connection say whose it is.
 */
import type { Server } from 'node:http';
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Whoever has connected as a server is about to end has so long to begin a request. */
const LAST_WORD_MS = 1_000;

/** After so long a session that was told to end is cut off. */
const MOST_DRAIN_MS = 25_000;

export interface BothVersions {
  /** Sessions of HTTP/2 take no more requests, and end with those that are under way. A connection that has just come may still speak. */
  close(): void;
}

/**
 * Has `http1`, which listens, leave connections that speak HTTP/2 to `http2`, which does not. A connection that says nothing
 * for `silentMs` is closed.
 */
export function bothVersions(http1: Server, http2: Http2Server, silentMs: number): BothVersions {
  const speakHttp1 = http1.listeners('connection') as ((socket: Socket) => void)[];
  http1.removeAllListeners('connection');
  const undecided = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  http2.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  http1.on('connection', (socket: Socket) => {
    undecided.add(socket);
    const forget = () => undecided.delete(socket);
    const give = () => socket.destroy();
    let begun: Buffer = Buffer.alloc(0);
    const look = () => {
      const bytes = socket.read() as Buffer | null;
      if (bytes === null) return;
      begun = begun.length === 0 ? bytes : Buffer.concat([begun, bytes]);
      const looked = Math.min(begun.length, PREFACE.length);
      const same = begun.compare(PREFACE, 0, looked, 0, looked) === 0;
      if (same && looked < PREFACE.length) return;
      socket.unshift(begun);
      socket.off('readable', look);
      socket.off('error', give);
      socket.off('end', give);
      socket.off('close', forget);
      socket.setTimeout(0);
      socket.off('timeout', give);
      forget();
      if (same) {
        // A server of HTTP/1.1 has its sockets stay half open; one of HTTP/2 would never learn that the client has gone.
        socket.allowHalfOpen = false;
        http2.emit('connection', socket);
      } else for (const speak of speakHttp1) speak.call(http1, socket);
    };
    socket.on('error', give);
    socket.once('end', give);
    socket.once('close', forget);
    socket.setTimeout(silentMs, give);
    socket.on('readable', look);
  });
  return {
    close() {
      for (const socket of undecided) socket.setTimeout(LAST_WORD_MS);
      for (const session of sessions) session.close();
      setTimeout(() => {
        for (const session of sessions) session.destroy();
      }, MOST_DRAIN_MS).unref();
    },
  };
}
