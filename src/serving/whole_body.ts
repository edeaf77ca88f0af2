/** Bodies that are answered past the framework: they are in memory before anything is done with them. */
import type { Readable } from 'node:stream';

const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Hands the whole of a body to `then`, or what `take` threw, which is told the length of each part as it comes. Nothing where the
 * client goes away before its end. `done`: no more of it comes.
 */
export function wholeBody(
  body: Readable,
  take: (bytes: number) => void,
  then: (body: Buffer | null, refusal: unknown) => void,
  done: () => void,
): void {
  let only: Buffer | null = null;
  let chunks: Buffer[] | null = null;
  const onData = (chunk: Buffer) => {
    try {
      take(chunk.length);
    } catch (error) {
      body.off('data', onData);
      body.off('end', onEnd);
      // What still comes is read and forgotten, so that the answer is not lost with the connection.
      body.resume();
      return then(null, error);
    }
    if (only === null) only = chunk;
    else if (chunks === null) chunks = [only, chunk];
    else chunks.push(chunk);
  };
  const onEnd = () => then(chunks === null ? (only ?? NOTHING) : Buffer.concat(chunks), null);
  body.on('data', onData);
  // None of these comes twice, and to be called once only costs more.
  body.on('end', onEnd);
  body.on('close', done);
  body.on('error', () => {});
}
