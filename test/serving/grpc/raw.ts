/** Calls over gRPC by hand: bytes of our own, and a client that does not keep to its own deadline. */
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';

export const PATH = '/samewise.v1.FeatureService/GetOnlineFeatures';
export const STREAM_PATH = '/samewise.v1.FeatureService/StreamOnlineFeatures';

/** What came back: the status of gRPC, and the body as it is. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export function open(
  session: ClientHttp2Session,
  path: string,
  headers: Record<string, string> = {},
): ClientHttp2Stream {
  return session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
}

/** Sends bytes as the body of a call. */
export function rawCall(
  session: ClientHttp2Session,
  path: string,
  body: Uint8Array,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const stream = open(session, path, headers);
    const chunks: Buffer[] = [];
    let status: string | string[] | undefined;
    let head: IncomingHttpHeaders = {};
    stream.on('response', (each) => {
      head = each;
      status ??= each['grpc-status'] as string | undefined;
    });
    stream.on('trailers', (each) => {
      status ??= each['grpc-status'];
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () =>
      resolve({ status: Number(status), headers: head, body: Buffer.concat(chunks) }),
    );
    stream.end(body);
  });
}

/** A message with its flags and its length before it; both may lie. */
export function enveloped(bytes: Uint8Array, length = bytes.length, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
}
