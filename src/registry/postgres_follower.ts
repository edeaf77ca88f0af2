/**
 * What is live in the registry, held in memory and kept up with it. PostgreSQL tells of each new revision (LISTEN/NOTIFY), and only
 * what it changed is read. A lost connection loses nothing but time: whoever asks goes on with what is here, and what was missed
 * meanwhile is read once the way is there again.
 */
import type { Connection, Registered } from './contract.ts';
import { type PostgresLink, SilentError } from './postgres_link.ts';
import { type ObjectRow, registeredOf } from './postgres_rows.ts';

/** Where appliers say that there is a new revision. */
export const CHANNEL = 'samewise_registry';

/** So often it is asked unbidden: a pooler may swallow notifications, and a network may die without a sound. */
const ASK_MS = 5_000;
/** Whoever has not answered by then is taken for gone. */
const SILENT_MS = 5_000;
/** While the way is lost. */
const RETRY_MS = 500;

interface Live {
  readonly id: number;
  readonly object: Registered;
}

export class PostgresFollower {
  readonly #link: PostgresLink;
  /** By kind, name and version. */
  readonly #live = new Map<string, Live>();
  readonly #moved = new Set<() => void>();
  #head = 0;
  #sorted: readonly Registered[] = [];
  #connected = true;
  #lost = 0;
  #reading: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(link: PostgresLink) {
    this.#link = link;
  }

  /** Reads everything and begins to listen. */
  async start(): Promise<void> {
    await this.#listen();
    await this.catchUp();
  }

  get head(): number {
    return this.#head;
  }

  /** What is current or pinned, in the order of its making; objects that did not change stay the same objects. */
  get live(): readonly Registered[] {
    return this.#sorted;
  }

  get connection(): Connection {
    return { connected: this.#connected, lost: this.#lost };
  }

  /** Calls `moved` after each change of the head. */
  onMoved(moved: () => void): void {
    this.#moved.add(moved);
  }

  /** Resolves when what was committed before the call is here. */
  async catchUp(): Promise<void> {
    // A question that is under way may have been asked too early.
    await this.#reading?.catch(() => {});
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null;
    });
    await this.#reading;
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** A network that swallows packets closes no connection. */
  #startAnew(): void {
    if (this.#closed) return;
    this.#link.renew();
    void this.#listen().catch(() => {});
  }

  #listen(): Promise<void> {
    const look = () => void this.#look();
    return this.#link.listen(CHANNEL, look, look);
  }

  async #look(): Promise<void> {
    // What is wrong is told by `connection`, and by every call that needs the database.
    if (!this.#closed) await this.catchUp().catch(() => {});
  }

  #wait(ms: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#look(), ms).unref();
  }

  async #read(): Promise<void> {
    try {
      const since = this.#head;
      // One statement sees one moment: never a head without its objects.
      const rows = await this.#link.call(
        (sql) => sql<(ObjectRow & { head: number; touched: number | null })[]>`
          select r.head, o.* from (select coalesce(max(number), 0) as head from samewise.revisions) r
          left join samewise.objects o on o.touched > ${since} order by o.id`,
        { again: 'never', patienceMs: SILENT_MS },
      );
      const touched = rows
        .filter((row) => row.touched !== null)
        .map((row) => ({ id: row.id, object: registeredOf(row) }));
      this.#connected = true;
      if (rows[0]!.head !== since) this.#take(rows[0]!.head, touched);
      this.#wait(ASK_MS);
    } catch (error) {
      if (this.#connected && !this.#closed) this.#lost++;
      this.#connected = false;
      if (error instanceof SilentError) this.#startAnew();
      this.#wait(RETRY_MS);
      throw error;
    }
  }

  #take(head: number, touched: readonly Live[]): void {
    for (const one of touched) {
      const { kind, name, version, state } = one.object;
      const key = `${kind} ${version} ${name}`;
      if (state === 'retired') this.#live.delete(key);
      else this.#live.set(key, one);
    }
    this.#sorted = [...this.#live.values()].sort((a, b) => a.id - b.id).map(({ object }) => object);
    this.#head = head;
    for (const moved of this.#moved) moved();
  }
}
