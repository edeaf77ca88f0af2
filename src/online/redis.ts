/**
 * The online store in Redis or in a Redis Cluster: pages as binary values, one slot for all pages of an entity, compare-and-set by a
 * script (see redis_script.ts), names in redis_keys.ts.
 *
 * What replication loses when a primary dies, and what heals it: docs/online_stores.md and decision 22.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Clock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import type { Head, OnlineStore, PageKey, PageWrite } from './contract.ts';
import { copyOf } from './copied.ts';
import {
  nodeName,
  printPlace,
  RedisClient,
  type RedisOpening,
  type RedisPlace,
} from './redis_client.ts';
import { bucketOf, RedisKeys } from './redis_keys.ts';
import { argumentsOf, COMPARE_AND_SET, VERSION_BYTES } from './redis_script.ts';

export { printPlace, type RedisPlace } from './redis_client.ts';

/** Version of the layout of names and values; in the bookkeeping under `format`. */
const FORMAT = 'samewise-online-redis 1';
/** Heads that one command reads, for others to be answered in between. */
const HEADS_A_COMMAND = 500;
/** What one call of the script writes; a server does nothing else meanwhile. */
const WRITES_A_CALL = 64;
const BYTES_A_CALL = 1 << 20;
/** Names that a server looks at in one turn of a scan. */
const SCAN_NAMES = 1_000;
/** Scans that were left off and whose place is known. */
const MAX_PLACES = 1_000;
/** How far clocks of nodes may lie apart. */
const MAX_SKEW_MS = 10_000;
const US_PER_MS = 1_000;

/** Opens the store, making what is not there. Rejects `online/…`. */
export async function openRedisStore(opening: RedisOpening): Promise<OnlineStore> {
  const client = await RedisClient.open(opening);
  try {
    const store = new RedisStore(opening, client);
    await store.check();
    return store;
  } catch (error) {
    client.close();
    throw error;
  }
}

/** Where a scan was left off: the node, and the cursor that gives the names among which it was. */
interface ScanPlace {
  readonly node: string;
  readonly cursor: string;
}

class RedisStore implements OnlineStore {
  readonly #place: RedisPlace;
  readonly #clock: Clock;
  readonly #client: RedisClient;
  readonly #keys: RedisKeys;
  /** By the name of the last head that was given. */
  readonly #places = new Map<string, ScanPlace>();

  constructor({ place, clock }: RedisOpening, client: RedisClient) {
    this.#place = place;
    this.#clock = clock;
    this.#client = client;
    this.#keys = new RedisKeys(place.namespace, client.isCluster);
  }

  /** Refuses a server that drops what it likes when its memory is full: a page that is gone would be served as no events. */
  async check(): Promise<void> {
    for (const node of this.#client.nodes()) {
      const info = await this.#client.sendTo(node, (redis) => redis.info('memory'));
      const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'noeviction';
      if (policy.startsWith('allkeys'))
        throw new SamewiseError(
          'online/evicts',
          `Redis drops pages when its memory is full: its maxmemory-policy is ${policy}`,
          {
            where: { source: printPlace(this.#place) },
            hint: 'set maxmemory-policy to noeviction: a page that is gone would be served as if nothing had happened',
          },
        );
    }
    const name = this.#keys.meta('format');
    await this.#client.send((redis) => redis.setnx(name, FORMAT));
    const found = await this.#client.send((redis) => redis.get(name));
    if (found !== FORMAT)
      throw new SamewiseError(
        'online/damaged',
        `the store's format is ${JSON.stringify(found)}; this version reads ${JSON.stringify(FORMAT)}`,
        {
          where: { source: printPlace(this.#place) },
          hint: 'use another namespace, and run `samewise materialize --full`',
        },
      );
  }

  async heads(keys: readonly PageKey[]): Promise<(Head | undefined)[]> {
    const out = new Array<Head | undefined>(keys.length).fill(undefined);
    if (keys.length === 0) return out;
    const names = this.#keys.heads(keys);
    if (!this.#client.isCluster && keys.length <= HEADS_A_COMMAND) {
      const found = await this.#client.send((redis) => redis.mgetBuffer(names));
      for (let i = 0; i < found.length; i++) if (found[i]) out[i] = headOf(found[i]!);
      return out;
    }
    await Promise.all(
      this.#groups(keys, HEADS_A_COMMAND).map(async (group) => {
        const wanted = group.map((i) => names[i]!);
        const found = await this.#client.send((redis) => redis.mgetBuffer(wanted));
        group.forEach((i, at) => {
          const value = found[at];
          if (value) out[i] = headOf(value);
        });
      }),
    );
    return out;
  }

  async blocks(key: PageKey, blocks: readonly number[]): Promise<(Uint8Array | undefined)[]> {
    if (blocks.length === 0) return [];
    const name = this.#keys.blocks(key);
    const found = await this.#client.send((redis) =>
      redis.hmgetBuffer(name, ...blocks.map(String)),
    );
    return found.map((bytes) => (bytes ? copyOf(bytes) : undefined));
  }

  async compareAndSet(writes: readonly PageWrite[]): Promise<boolean[]> {
    const applied = new Array<boolean>(writes.length).fill(false);
    const calls = this.#groups(writes, WRITES_A_CALL, (i) => sizeOf(writes[i]!)).map(
      async (group) => {
        const done = await this.#call(group.map((i) => writes[i]!));
        group.forEach((i, at) => {
          applied[i] = done[at] === 1;
        });
      },
    );
    // All have ended before any failure is told: nothing is written behind the caller's back.
    const ended = await Promise.allSettled(calls);
    for (const call of ended) if (call.status === 'rejected') throw call.reason;
    return applied;
  }

  async #call(writes: readonly PageWrite[]): Promise<number[]> {
    const call = argumentsOf(writes, this.#keys);
    return this.#client.send(async (redis) => {
      try {
        return (await redis.evalsha(COMPARE_AND_SET.sha, ...call)) as number[];
      } catch (error) {
        // A server that has not seen it: it is new, was started again, or was a replica before.
        if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
        return (await redis.eval(COMPARE_AND_SET.text, ...call)) as number[];
      }
    });
  }

  /** Positions of `pages` that one command may name: in a cluster those of one bucket, and never too many. */
  #groups(
    pages: readonly PageKey[],
    most: number,
    bytesOf: (i: number) => number = () => 0,
  ): number[][] {
    const groups: number[][] = [];
    const open = new Map<string, { group: number[]; bytes: number }>();
    for (let i = 0; i < pages.length; i++) {
      const bucket = this.#client.isCluster ? bucketOf(pages[i]!.key) : '';
      const bytes = bytesOf(i);
      const last = open.get(bucket);
      if (last && last.group.length < most && last.bytes + bytes <= BYTES_A_CALL) {
        last.group.push(i);
        last.bytes += bytes;
      } else {
        const group = [i];
        groups.push(group);
        open.set(bucket, { group, bytes });
      }
    }
    return groups;
  }

  /**
   * The greatest of the nodes' times, when all of them have passed it: versions are times. Replicas as well, for one may be a primary
   * soon.
   */
  async fence(): Promise<number> {
    const fence = Math.max(...(await this.#times()));
    for (const sinceMs = this.#clock.monotonicMs(); ; ) {
      const behindUs = fence - Math.min(...(await this.#times()));
      if (behindUs < 0) return fence;
      if (behindUs > MAX_SKEW_MS * US_PER_MS || this.#clock.monotonicMs() - sinceMs > MAX_SKEW_MS)
        throw new SamewiseError(
          'online/clocks-apart',
          `the clocks of Redis' nodes lie ${Math.ceil(behindUs / US_PER_MS)} ms apart`,
          {
            where: { source: printPlace(this.#place) },
            hint: 'have them follow a time server: versions of pages are their times',
          },
        );
      await sleep(Math.ceil(behindUs / US_PER_MS));
    }
  }

  #times(): Promise<number[]> {
    return Promise.all(
      this.#client.nodes(true).map(async (node) => {
        const [seconds, us] = await this.#client.sendTo(node, (redis) => redis.time());
        return Number(seconds) * 1e6 + Number(us);
      }),
    );
  }

  async *scan(view: string, after?: Uint8Array): AsyncIterable<Uint8Array> {
    const left = after && this.#takePlace(this.#keys.head({ view, key: after }));
    const nodes = sorted(this.#client.nodes());
    const first = left
      ? Math.max(
          0,
          nodes.findIndex((node) => nodeName(node) === left.node),
        )
      : 0;
    for (const node of nodes.slice(first)) {
      const resumes = left !== undefined && nodeName(node) === left.node;
      let skips = resumes;
      for (let cursor = resumes ? left.cursor : '0'; ; ) {
        const [next, names] = await this.#client.sendTo(node, (redis) =>
          redis.scan(cursor, 'MATCH', this.#keys.pattern(view), 'COUNT', SCAN_NAMES),
        );
        let keys = names.map((name) => this.#keys.keyOf(view, name)).filter((key) => key !== null);
        // Those up to the key at which it was left off were given; if it is gone, all are given again.
        if (skips) keys = keys.slice(1 + keys.findIndex((key) => equal(key, after!)));
        skips = false;
        for (const key of keys) {
          let taken = false;
          try {
            yield key;
            taken = true;
          } finally {
            if (!taken)
              this.#leavePlace(this.#keys.head({ view, key }), { node: nodeName(node), cursor });
          }
        }
        cursor = next;
        if (cursor === '0') break;
      }
    }
  }

  #leavePlace(name: string, place: ScanPlace): void {
    this.#places.set(name, place);
    if (this.#places.size <= MAX_PLACES) return;
    const [oldest] = this.#places.keys();
    this.#places.delete(oldest!);
  }

  #takePlace(name: string): ScanPlace | undefined {
    const place = this.#places.get(name);
    this.#places.delete(name);
    return place;
  }

  async size(view: string): Promise<{ keys: number; bytes: number }> {
    const counts = await this.#client.many<(string | null)[]>(this.#keys.counts(view), (to, name) =>
      to.hmget(name, 'keys', 'bytes'),
    );
    const sum = { keys: 0, bytes: 0 };
    for (const [keys, bytes] of counts) {
      sum.keys += Number(keys ?? 0);
      sum.bytes += Number(bytes ?? 0);
    }
    return sum;
  }

  async dropView(view: string): Promise<void> {
    for (const node of this.#client.nodes()) {
      for (let cursor = '0'; ; ) {
        const [next, names] = await this.#client.sendTo(node, (redis) =>
          redis.scan(cursor, 'MATCH', this.#keys.pattern(view), 'COUNT', SCAN_NAMES),
        );
        await this.#client.many(names, (to, name) => to.unlink(name));
        cursor = next;
        if (cursor === '0') break;
      }
    }
  }

  async getMeta(name: string): Promise<Uint8Array | undefined> {
    const bytes = await this.#client.send((redis) =>
      redis.getBuffer(this.#keys.meta(`meta/${name}`)),
    );
    return bytes === null ? undefined : copyOf(bytes);
  }

  async putMeta(name: string, value: Uint8Array): Promise<void> {
    await this.#client.send((redis) =>
      redis.set(this.#keys.meta(`meta/${name}`), Buffer.from(value)),
    );
  }

  async close(): Promise<void> {
    this.#client.close();
  }
}

function headOf(value: Buffer): Head {
  const { buffer, byteOffset, length } = value;
  const page = new Uint8Array(buffer, byteOffset + VERSION_BYTES, length - VERSION_BYTES);
  return { version: value.readDoubleBE(0), bytes: copyOf(page) };
}

function sizeOf({ head, putBlocks }: PageWrite): number {
  let bytes = head?.length ?? 0;
  for (const block of putBlocks.values()) bytes += block.length;
  return bytes;
}

/** Nodes in an order that they always have. */
function sorted(nodes: readonly Redis[]): Redis[] {
  return nodes.toSorted((a, b) => (nodeName(a) < nodeName(b) ? -1 : 1));
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
