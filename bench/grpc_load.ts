/**
 * A load of requests for features over one protocol, for bench/grpc.ts: `get` (one entity), `json`, `connect` (all HTTP/1.1, one
 * connection for each of 16 requests at once) or `grpc` (HTTP/2, 16 streams of one connection). Prints a line when it is ready, and for each
 * line `<seconds>` that it reads one `<requests> <bytes of answers> <ms at the 99th percentile>`.
 */
import { Agent, request as http1Request } from 'node:http';
import { connect } from 'node:http2';
import { createInterface } from 'node:readline';
import { create, toBinary } from '@bufbuild/protobuf';
import { GetOnlineFeaturesRequestSchema } from '../src/serving/grpc/gen/samewise/v1/features_pb.ts';

const [protocol, port, rowsText] = process.argv.slice(2) as [string, string, string];
const ROWS = Number(rowsText);
const AT_ONCE = 16;
const CUSTOMERS = 100_000;

let customer = 0;
function ids(): number[] {
  return Array.from({ length: ROWS }, () => (customer = (customer + 1) % CUSTOMERS));
}

function message(): Uint8Array {
  return toBinary(
    GetOnlineFeaturesRequestSchema,
    create(GetOnlineFeaturesRequestSchema, {
      what: { case: 'service', value: 'scores' },
      entities: [{ name: 'customer_id', longs: ids().map(BigInt) }],
      eventTimes: true,
    }),
  );
}

function enveloped(bytes: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + bytes.length);
  frame.writeUInt32BE(bytes.length, 1);
  frame.set(bytes, 5);
  return frame;
}

/** Makes one request; resolves to the bytes of the answer. */
type Ask = () => Promise<number>;

function overHttp1(
  method: string,
  path: () => string,
  type: string,
  body: () => Uint8Array | string,
): Ask {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  return () =>
    new Promise((resolve, reject) => {
      const bytes = body();
      const headers = { 'content-type': type, 'content-length': Buffer.byteLength(bytes) };
      const request = http1Request(
        { agent, port: Number(port), host: '127.0.0.1', method, path: path(), headers },
        (response) => {
          let received = 0;
          response.on('data', (chunk: Buffer) => {
            received += chunk.length;
          });
          response.on('end', () =>
            response.statusCode === 200
              ? resolve(received)
              : reject(new Error(`answered ${response.statusCode}`)),
          );
        },
      );
      request.on('error', reject);
      request.end(bytes);
    });
}

function overHttp2(): Ask {
  const session = connect(`http://127.0.0.1:${port}`);
  const headers = {
    ':method': 'POST',
    ':path': '/samewise.v1.FeatureService/GetOnlineFeatures',
    'content-type': 'application/grpc+proto',
    te: 'trailers',
  };
  return () =>
    new Promise((resolve, reject) => {
      const stream = session.request(headers);
      let received = 0;
      let status: unknown;
      stream.on('data', (chunk: Buffer) => {
        received += chunk.length;
      });
      stream.on('trailers', (trailers) => {
        status = trailers['grpc-status'];
      });
      stream.on('error', reject);
      stream.on('close', () =>
        status === '0' ? resolve(received) : reject(new Error(`grpc-status ${status}`)),
      );
      stream.end(enveloped(message()));
    });
}

const FEATURES = [0, 1, 2, 3, 4].flatMap((i) => [`score_${i}`, `level_${i}`]).join();
const asks: Record<string, () => Ask> = {
  get: () =>
    overHttp1(
      'GET',
      () => `/api/v1/features/online?entity=customer&id=${ids()[0]}&features=${FEATURES}`,
      'text/plain',
      () => '',
    ),
  json: () =>
    overHttp1(
      'POST',
      () => '/api/v1/services/scores/vectors',
      'application/json',
      () =>
        JSON.stringify({
          entities: ids().map((customer_id) => ({ customer_id })),
          orientation: 'columns',
          full: true,
        }),
    ),
  connect: () =>
    overHttp1(
      'POST',
      () => '/samewise.v1.FeatureService/GetOnlineFeatures',
      'application/proto',
      message,
    ),
  grpc: overHttp2,
};
const ask = asks[protocol]!();

async function load(seconds: number): Promise<string> {
  const until = performance.now() + seconds * 1000;
  const times: number[] = [];
  let bytes = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let from = performance.now(); from < until; ) {
        const received = await ask();
        bytes += received;
        const now = performance.now();
        times.push(now - from);
        from = now;
      }
    }),
  );
  times.sort((a, b) => a - b);
  return `${times.length} ${bytes} ${times[Math.floor(times.length * 0.99)]}`;
}

await ask();
process.stdout.write('ready\n');
for await (const line of createInterface(process.stdin))
  process.stdout.write(`${await load(Number(line))}\n`);
process.exit();
