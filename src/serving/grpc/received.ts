/** Memory for messages on their way in, of all calls together. */

import { SamewiseError } from '../../base/errors.ts';
import { MAX_BODIES_BYTES } from '../http_limits.ts';
import { connectError } from './errors.ts';

export class Received {
  #bytes = 0;

  /** Makes room for `bytes` more. Throws `serving/overloaded`. */
  take(bytes: number): void {
    if (this.#bytes + bytes > MAX_BODIES_BYTES) {
      throw connectError(
        new SamewiseError('serving/overloaded', 'too many large requests are being received', {
          hint: 'try again later, or send less in one request',
        }),
      );
    }
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** A body of one message, which is in memory until it is whole. */
  async *counted(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let taken = 0;
    try {
      for await (const chunk of body) {
        this.take(chunk.length);
        taken += chunk.length;
        yield chunk;
      }
    } finally {
      this.give(taken);
    }
  }
}
