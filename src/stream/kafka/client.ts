/** How the client's parts are made: the same brokers, times and names for all. */
import { Consumer, ProduceAcks, Producer } from '@platformatic/kafka';
import type { Patience } from '../patience.ts';
import { FetchPool } from './fetch.ts';
import type { KafkaSecurity } from './security.ts';

export interface KafkaSettings {
  readonly brokers: readonly string[];
  readonly security?: KafkaSecurity;
  /** After how much silence a member of a group counts as dead. */
  readonly sessionMs: number;
  readonly patience: Patience;
}

export type KafkaClient = Consumer<Buffer, Buffer, Buffer, Buffer>;

/** A fetch waits this long at the broker for something new; what is positioned meanwhile waits with it. */
export const FETCH_WAIT_MS = 250;
const METADATA_MAX_AGE_MS = 2_000;
const CONNECT_MS = 3_000;

function common({ brokers, security, sessionMs }: KafkaSettings) {
  return {
    clientId: 'samewise',
    bootstrapBrokers: [...brokers],
    ...security,
    connectTimeout: CONNECT_MS,
    // Joining a group blocks until all members have, for a session at most.
    requestTimeout: sessionMs + CONNECT_MS,
    metadataMaxAge: METADATA_MAX_AGE_MS,
    // Quick repeats only: `persist` decides how long something is tried.
    retries: 2,
    retryDelay: 50,
  };
}

/** A client for reading; it joins `groupId` only when told to. */
export function makeClient(settings: KafkaSettings, groupId: string): KafkaClient {
  const { sessionMs } = settings;
  const client: KafkaClient = new Consumer({
    ...common(settings),
    groupId,
    autocommit: false,
    sessionTimeout: sessionMs,
    rebalanceTimeout: sessionMs,
    heartbeatInterval: Math.ceil(sessionMs / 10),
    // Members keep what they have while others come and go.
    protocols: [{ name: 'cooperative-sticky', version: 3 }],
    maxWaitTime: FETCH_WAIT_MS,
    minBytes: 1,
  });
  // Errors come as rejections too; without a listener they would end the process.
  client.on('error', () => {});
  return client;
}

/** Connections for `fetchRaw`, to be closed by who asks for them. */
export function makeFetchPool(settings: KafkaSettings): FetchPool {
  const { clientId, connectTimeout, requestTimeout } = common(settings);
  return new FetchPool(clientId, { ...settings.security, connectTimeout, requestTimeout });
}

export function makeProducer(settings: KafkaSettings): Producer<Buffer, Buffer, Buffer, Buffer> {
  const producer: Producer<Buffer, Buffer, Buffer, Buffer> = new Producer({
    ...common(settings),
    acks: ProduceAcks.ALL,
    // A request that is repeated, as its answer was lost, is taken once.
    idempotent: true,
  });
  producer.on('error', () => {});
  return producer;
}
