/**
 * A connection to one Redis or to a cluster, and the patience with it: a command whose answer did not come, or that came to a server
 * that cannot take it now, is sent again until it is taken or the patience ends. Who must answer sooner does so without it (see
 * serving/ask.ts). The client itself sends nothing twice: here alone it is known what may be.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import calculateSlot from 'cluster-key-slot';
import {
  type ChainableCommander,
  Cluster,
  type ClusterOptions,
  Redis,
  type RedisOptions,
} from 'ioredis';
import type { Clock } from '../base/clock.ts';
import { isPassing, redisFailure } from './redis_errors.ts';

/** Longer than a cluster with its usual settings takes to put a replica in a dead primary's place. */
const PATIENCE_MS = 20_000;
/** Pauses between attempts grow from the first to the last. */
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 250;
/** A connection with commands under way that says nothing for so long is dead. */
const SILENCE_MS = 5_000;

/** Which Redis, and as whom. */
export interface RedisPlace {
  readonly kind: 'redis' | 'redis-cluster';
  /** One of a single Redis; of a cluster some, which tell the others. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly tls: boolean;
  /** A user of Redis' access lists; null: its default one. */
  readonly user: string | null;
  /** Number of the database of a single Redis. */
  readonly database: number;
  /** What all names of the store begin with. */
  readonly namespace: string;
}

/** As errors and people are told of it; without secrets, for there are none in it. */
export function printPlace({ kind, nodes, tls, database, namespace }: RedisPlace): string {
  const scheme = tls ? kind.replace('redis', 'rediss') : kind;
  const where = nodes.map(({ host, port }) => `${host}:${port}`).join(',');
  return `${scheme}://${where}${database === 0 ? '' : `/${database}`}?namespace=${namespace}`;
}

/** What a connection is made with. */
export interface RedisOpening {
  readonly place: RedisPlace;
  readonly password: string | null;
  readonly clock: Clock;
  /** How long a command is sent again; unless told, long enough for a replica to take the place of its primary. */
  readonly patienceMs?: number;
}

export class RedisClient {
  readonly isCluster: boolean;
  readonly #client: Redis | Cluster;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #patienceMs: number;
  /** What a connection last reported of its own accord. */
  #reported: unknown = null;

  private constructor({ place, password, clock, patienceMs = PATIENCE_MS }: RedisOpening) {
    const client = connect(place, password);
    this.isCluster = place.kind === 'redis-cluster';
    this.#name = printPlace(place);
    this.#client = client;
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    // Without a listener it would be thrown; whoever waits for an answer is told of it.
    client.on('error', (error) => {
      this.#reported = error;
    });
  }

  /** Connects. Rejects `online/…`. */
  static async open(opening: RedisOpening): Promise<RedisClient> {
    const client = new RedisClient(opening);
    try {
      await client.#connect();
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  async #connect(): Promise<void> {
    const client = this.#client;
    await this.#patiently(async () => {
      if (client.status === 'wait' || client.status === 'end') {
        this.#reported = null;
        await client.connect();
      } else if (client.status !== 'ready') throw new Error('it is not connected');
    });
  }

  /** What `send` resolves with, sent again while that may help. */
  send<T>(send: (client: Redis | Cluster) => Promise<T>): Promise<T> {
    return this.#patiently(() => send(this.#client));
  }

  /** The servers that are asked and written, and with `replicas` those that may take their place, too. */
  nodes(replicas = false): Redis[] {
    const client = this.#client;
    return client instanceof Cluster ? client.nodes(replicas ? 'all' : 'master') : [client];
  }

  /** As `send`, of one node. */
  sendTo<T>(node: Redis, send: (node: Redis) => Promise<T>): Promise<T> {
    return this.#patiently(() => send(node));
  }

  /** The answers to `command` for many names, in their order: one pipeline a node, and alone those that a node did not answer. */
  async many<T>(
    names: readonly string[],
    command: (to: Redis | Cluster | ChainableCommander, name: string) => unknown,
  ): Promise<T[]> {
    const nodeOf = this.#nodeOf();
    const groups = Map.groupBy(names.keys(), (i) => nodeOf(names[i]!));
    const out = new Array<T>(names.length);
    const asked = [...groups].map(async ([node, group]) => {
      const pipeline = node?.pipeline();
      for (const i of group) if (pipeline) command(pipeline, names[i]!);
      // A pipeline that fails as a whole has answered nothing.
      const answers = (await pipeline?.exec().catch(() => null)) ?? [];
      await Promise.all(
        group.map(async (i, at) => {
          const [error, answer] = answers[at] ?? [null, undefined];
          out[i] =
            error === null && answer !== undefined
              ? (answer as T)
              : await this.send((client) => command(client, names[i]!) as Promise<T>);
        }),
      );
    });
    await Promise.all(asked);
    return out;
  }

  /** Tells which node has a name, as far as is known; undefined: none. */
  #nodeOf(): (name: string) => Redis | undefined {
    const client = this.#client;
    if (!(client instanceof Cluster)) return () => client;
    const nodes = new Map(client.nodes('master').map((node) => [nodeName(node), node]));
    return (name) => nodes.get(client.slots[calculateSlot(name)]?.[0] ?? '');
  }

  close(): void {
    this.#client.disconnect();
  }

  #patiently<T>(attempt: () => Promise<T>): Promise<T> {
    return attempt().catch((error) => this.#again(attempt, error));
  }

  async #again<T>(attempt: () => Promise<T>, first: unknown): Promise<T> {
    const untilMs = this.#clock.monotonicMs() + this.#patienceMs;
    let error = first;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      // That it is not connected is the consequence; the reason came by itself.
      const reason = isPassing(error) ? (this.#reported ?? error) : error;
      if (!isPassing(reason) || this.#clock.monotonicMs() + pauseMs > untilMs)
        throw redisFailure(reason, this.#name);
      await sleep(pauseMs);
      if (this.#client instanceof Cluster) this.#client.refreshSlotsCache();
      try {
        const result = await attempt();
        this.#reported = null;
        return result;
      } catch (next) {
        error = next;
      }
    }
  }
}

/** As a cluster names it. */
export function nodeName({ options }: Redis): string {
  return `${options.host}:${options.port}`;
}

function connect(place: RedisPlace, password: string | null): Redis | Cluster {
  const { nodes, tls, user, database } = place;
  const common: RedisOptions = {
    username: user ?? undefined,
    password: password ?? undefined,
    connectionName: 'samewise',
    connectTimeout: SILENCE_MS,
    socketTimeout: SILENCE_MS,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    ...(tls ? { tls: {} } : {}),
  };
  if (place.kind === 'redis') {
    return new Redis({
      ...common,
      ...nodes[0]!,
      db: database,
      lazyConnect: true,
      enableOfflineQueue: false,
      enableAutoPipelining: true,
      retryStrategy: (times) => Math.min(times * FIRST_PAUSE_MS, LONGEST_PAUSE_MS),
      // The name now means another server, or will: this one was told to follow it.
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
    });
  }
  const options: ClusterOptions = {
    redisOptions: common,
    lazyConnect: true,
    enableOfflineQueue: false,
    enableAutoPipelining: true,
    maxRedirections: 3,
    clusterRetryStrategy: (times) => Math.min(times * FIRST_PAUSE_MS, LONGEST_PAUSE_MS),
    // Certificates are for names.
    ...(tls ? { dnsLookup: (address, callback) => callback(null, address) } : {}),
  };
  return new Cluster([...nodes], options);
}
