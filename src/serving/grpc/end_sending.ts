/** What becomes of a request that is refused before it is whole. */
import { constants, type ServerHttp2Stream } from 'node:http2';

/** Tells a client, once the answer has left, that it need not send the rest. */
export function endSending(stream: ServerHttp2Stream): void {
  setImmediate(() => {
    if (!stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
  });
}
