/** Streams of an imitated Kinesis for tests. */
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  KinesisClient,
  PutRecordsCommand,
} from '@aws-sdk/client-kinesis';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { systemClock } from '../../src/base/clock.ts';
import type { EventLog } from '../../src/stream/contract.ts';
import type { Send } from '../../src/stream/kinesis/api.ts';
import {
  type KinesisOptions,
  type LeaseStore,
  openKinesisLog,
} from '../../src/stream/kinesis/index.ts';

const region = 'us-east-1';

/** Leases in memory: of handles that are opened with the same one. */
export function memoryLeases(): LeaseStore {
  const values = new Map<string, Uint8Array>();
  return {
    getMeta: async (name) => values.get(name),
    putMeta: async (name, value) => {
      values.set(name, value);
    },
  };
}

export interface Account {
  readonly client: KinesisClient;
  open(options?: Partial<KinesisOptions>): EventLog;
  stream(shards: number): Promise<string>;
  close(): void;
}

let streams = 0;

export function account(endpoint: string): Account {
  // Any do.
  process.env.AWS_ACCESS_KEY_ID ??= 'x';
  process.env.AWS_SECRET_ACCESS_KEY ??= 'x';
  const requestHandler = new NodeHttpHandler();
  const client = new KinesisClient({ region, endpoint, requestHandler });
  const leases = memoryLeases();
  const { random } = Math;
  // The imitation gives two records one sequence number, and loses one, if they are put at once (its source says so).
  let putBefore: Promise<unknown> = Promise.resolve();
  const send = ((command: never) => {
    if (!((command as unknown) instanceof PutRecordsCommand)) return client.send(command);
    const put = putBefore.then(() => client.send(command));
    putBefore = put.catch(() => {});
    return put;
  }) as Send['send'];
  return {
    client,
    open: (options) =>
      openKinesisLog({
        ...{ region, endpoint, clock: systemClock, leases, random, pollMs: 20 },
        // Of its own for an endpoint of its own.
        ...(options?.endpoint === undefined ? { client: { send } } : {}),
        ...options,
      }),
    async stream(shards) {
      const StreamName = `test-${process.pid}-${streams++}`;
      await client.send(new CreateStreamCommand({ StreamName, ShardCount: shards }));
      for (;;) {
        const answer = await client.send(new DescribeStreamSummaryCommand({ StreamName }));
        if (answer.StreamDescriptionSummary?.StreamStatus === 'ACTIVE') return StreamName;
      }
    },
    close: () => client.destroy(),
  };
}
