/** One member of a consumer group: which partitions are its own, by what the group says. */
import type { KafkaClient, KafkaSettings } from './client.ts';

/** What a member tells. */
export interface MemberListener {
  /** The partitions that are its own now. */
  owns(partitions: ReadonlySet<number>): void;
  /** It could not join, and goes on trying. */
  failed(error: unknown): void;
}

const REJOIN_MS = 300;

export class GroupMember {
  readonly #client: KafkaClient;
  readonly #settings: KafkaSettings;
  readonly #topic: string;
  readonly #listener: MemberListener;
  readonly #watch: NodeJS.Timeout;
  #memberId: string | null = null;
  /** Partitions of the topic when the group last divided them; null: another member does that. */
  #divided: number | null = null;
  #aliveMs = 0;
  /** Not heard for so long that the group may have given its partitions to others. */
  #silent = false;
  #joining = false;
  #closed = false;

  constructor(
    client: KafkaClient,
    settings: KafkaSettings,
    topic: string,
    listener: MemberListener,
  ) {
    this.#client = client;
    this.#settings = settings;
    this.#topic = topic;
    this.#listener = listener;
    client.topics.track(topic);
    client.on('consumer:group:join', ({ memberId, isLeader }) => this.#joined(memberId, isLeader));
    // Of a cooperative rebalance, after what has to be given up was given up.
    client.on('consumer:group:rebalance', () => this.#tell());
    client.on('consumer:heartbeat:end', () => this.#lives());
    client.on('error', () => this.#rejoin());
    this.#watch = setInterval(() => this.#look(), settings.sessionMs / 10);
  }

  /** Joins for the first time. */
  async join(): Promise<void> {
    await this.#client.joinGroup({});
  }

  /** Tells the group how far it is. */
  async commit(partition: number, offset: bigint): Promise<void> {
    if (!this.#client.isActive()) return;
    await this.#client.commit({
      offsets: [{ topic: this.#topic, partition, offset, leaderEpoch: -1 }],
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watch);
    await this.#client.close(true);
  }

  #lives(): void {
    this.#aliveMs = this.#settings.patience.monotonicMs();
    if (!this.#silent) return;
    // The group did not miss it: what it owned is its own still.
    this.#silent = false;
    this.#tell();
  }

  #joined(memberId: string, isLeader: boolean | undefined): void {
    this.#aliveMs = this.#settings.patience.monotonicMs();
    this.#silent = false;
    // The group had taken it for dead: what it owned was others' meanwhile.
    if (this.#memberId !== null && this.#memberId !== memberId) this.#listener.owns(new Set());
    this.#memberId = memberId;
    this.#divided = isLeader ? this.#partitions() : null;
    this.#tell();
  }

  #tell(): void {
    if (this.#closed || this.#silent) return;
    const own = this.#client.assignments?.find(({ topic }) => topic === this.#topic);
    this.#listener.owns(new Set(own?.partitions));
  }

  #partitions(): number | null {
    return this.#client.currentMetadata?.topics.get(this.#topic)?.partitionsCount ?? null;
  }

  /** Partitions that were added are divided when the group's leader joins anew; and who is not heard owns nothing any more. */
  async #look(): Promise<void> {
    const { patience, sessionMs } = this.#settings;
    if (!this.#silent && patience.monotonicMs() - this.#aliveMs > sessionMs) {
      this.#silent = true;
      this.#listener.owns(new Set());
    }
    if (!this.#client.isActive()) {
      // While the group divides anew the client joins by itself, for a session at most. A second request beside that one may leave
      // partitions with nobody.
      if (patience.monotonicMs() - this.#aliveMs > 2 * sessionMs) await this.#rejoin();
      return;
    }
    if (this.#divided === null) return;
    await this.#client.metadata({ topics: [this.#topic] }).catch(() => {});
    const partitions = this.#partitions();
    if (this.#divided !== null && partitions !== null && partitions !== this.#divided)
      await this.#rejoin();
  }

  /** The client gives up after some failures. */
  async #rejoin(): Promise<void> {
    if (this.#joining || this.#closed || this.#memberId === null) return;
    this.#joining = true;
    try {
      await this.#client.joinGroup({});
    } catch (error) {
      if (!this.#closed) this.#listener.failed(error);
      setTimeout(() => this.#rejoin(), REJOIN_MS).unref();
    } finally {
      this.#joining = false;
    }
  }
}
