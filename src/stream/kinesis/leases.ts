/**
 * Who reads which shard: the members of a group share one small value in a store that they all have (the online store has
 * such values), by the rules of the embedded log's groups. The store need not compare and set: what two members write at
 * once loses one of their renewals, which is made up for a second later. Meanwhile a shard may have two readers or none, and
 * nothing depends on that: applying twice is applying once.
 */

import type { InstantUs } from '../../base/time.ts';
import { chosen, type Group, leave, NO_GROUP, renew } from '../embedded/group.ts';

/** Small values by name, shared by all workers. An online store is one. */
export interface LeaseStore {
  getMeta(name: string): Promise<Uint8Array | undefined>;
  putMeta(name: string, value: Uint8Array): Promise<void>;
}

interface Written {
  readonly group: Group;
  /** Closed shards that were read to their end: those that continue them may be read. */
  readonly drained: readonly string[];
}

/** What a member learns when it renews. */
export interface Leased {
  /** Shards that are its own. */
  readonly own: ReadonlySet<string>;
  /** Shards that it has and should let go of. */
  readonly leaving: ReadonlySet<string>;
  readonly drained: ReadonlySet<string>;
}

/** One member's view of its group. */
export class Leases {
  readonly #store: LeaseStore;
  readonly #name: string;
  readonly #member: number;

  constructor(store: LeaseStore, topic: string, group: string, member: number) {
    this.#store = store;
    this.#name = `kinesis/${encodeURIComponent(group)}/${topic}`;
    this.#member = member;
  }

  /** Renews the member's lease; it gives back `released`, and says what it has drained. */
  async renew(
    shards: readonly string[],
    released: ReadonlySet<string>,
    drained: ReadonlySet<string>,
    nowUs: InstantUs,
  ): Promise<Leased> {
    const before = await this.#read();
    const places = Math.max(...shards.map(numberOf)) + 1;
    const freed = new Set([...released].map(numberOf));
    const group = renew(before.group, this.#member, places, freed, nowUs);
    const all = new Set([...before.drained, ...drained].filter((id) => shards.includes(id)));
    await this.#write({ group, drained: [...all] });
    const own = new Set<string>();
    const leaving = new Set<string>();
    for (const id of shards)
      if (group.owners[numberOf(id)] === this.#member)
        (chosen(group, numberOf(id)) === this.#member ? own : leaving).add(id);
    return { own, leaving, drained: all };
  }

  async leave(): Promise<void> {
    const { group, drained } = await this.#read();
    await this.#write({ group: leave(group, this.#member), drained });
  }

  async #read(): Promise<Written> {
    const bytes = await this.#store.getMeta(this.#name);
    if (bytes === undefined) return { group: NO_GROUP, drained: [] };
    return JSON.parse(new TextDecoder().decode(bytes));
  }

  async #write(written: Written): Promise<void> {
    await this.#store.putMeta(this.#name, new TextEncoder().encode(JSON.stringify(written)));
  }
}

/** `shardId-000000000012` is the thirteenth that the stream has had. */
function numberOf(shard: string): number {
  return Number(shard.slice(shard.lastIndexOf('-') + 1));
}
