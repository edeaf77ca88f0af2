/** Bodies of requests on their way: how much memory they are promised together, and whether their senders are too slow. */
import type { IncomingMessage } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { SamewiseError } from '../base/errors.ts';
import {
  BODY_SLOT_BYTES,
  BODY_SLOT_MS,
  MAX_BODIES_BYTES,
  MAX_BODY_BYTES,
  SMALL_BODY_BYTES,
} from './http_limits.ts';

interface Coming {
  /** Memory that it may take. */
  readonly bytes: number;
  /** What the connection had brought when it was last looked at. */
  seen: number;
}

export class Bodies {
  readonly #coming = new Map<IncomingMessage, Coming>();
  readonly #onSlow: (request: IncomingMessage) => void;
  #bytes = 0;

  /** `onSlow` ends the request. */
  constructor(onSlow: (request: IncomingMessage) => void) {
    this.#onSlow = onSlow;
  }

  /** A request with a body has come, and its body is coming. Throws `serving/overloaded`. */
  begin(request: IncomingMessage): void {
    // It was read before, and its end is over.
    if (request.complete) return;
    const { 'content-length': length, 'transfer-encoding': chunked } = request.headers;
    if (length === undefined && chunked === undefined && !comesAsFrames(request)) return;
    // Those that say they are larger are refused or streamed.
    const told = length === undefined ? MAX_BODY_BYTES : Math.min(Number(length), MAX_BODY_BYTES);
    const bytes = told > SMALL_BODY_BYTES ? told : 0;
    if (bytes > 0 && this.#bytes + bytes > MAX_BODIES_BYTES) {
      throw new SamewiseError('serving/overloaded', 'too many large requests are being received', {
        hint: 'try again after the time that Retry-After says, or send less in one request',
      });
    }
    this.#bytes += bytes;
    this.#watch(request, bytes);
    request.once('close', () => this.end(request));
  }

  /** The same for one that is known to be small; whoever says so tells its end, if it comes. */
  beginSmall(request: IncomingMessage): void {
    this.#watch(request, 0);
  }

  #watch(request: IncomingMessage, bytes: number): void {
    // The first look only begins to measure.
    this.#coming.set(request, { bytes, seen: Number.NEGATIVE_INFINITY });
  }

  /** No more of it comes. */
  end(request: IncomingMessage): void {
    const coming = this.#coming.get(request);
    if (coming === undefined) return;
    this.#coming.delete(request);
    this.#bytes -= coming.bytes;
  }

  /** Looks, from time to time, for senders that bring next to nothing. Returns what ends that. */
  watch(): () => void {
    const timer = setInterval(() => this.#look(), BODY_SLOT_MS);
    timer.unref();
    return () => clearInterval(timer);
  }

  #look(): void {
    for (const [request, coming] of this.#coming) {
      // Whoever sent it has gone away.
      if (request.destroyed) {
        this.end(request);
        continue;
      }
      const { bytesRead } = request.socket;
      const brought = bytesRead - coming.seen;
      coming.seen = bytesRead;
      // What waits here to be read is not the sender's fault.
      const waits = request.complete || request.readableLength > 0;
      if (brought < BODY_SLOT_BYTES && !waits) this.#onSlow(request);
    }
  }
}

/** Whether a body comes over HTTP/2, where none has to say its length. */
function comesAsFrames(request: IncomingMessage): boolean {
  const { stream } = request as { stream?: ServerHttp2Stream };
  return stream !== undefined && !stream.endAfterHeaders;
}
