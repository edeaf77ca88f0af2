/**
 * The registry in a PostgreSQL database, for processes on many machines. What is live is held in memory and followed (see
 * postgres_follower.ts), so that reading it costs nothing and goes on while the database is away; everything else asks the database.
 */
import { SamewiseError } from '../base/errors.ts';
import { canonicalJson } from '../base/hash.ts';
import type { DefinitionKind } from '../model/definitions.ts';
import { definitionToJson } from '../model/json.ts';
import type {
  Connection,
  Everything,
  FeatureHit,
  Job,
  Registered,
  Registry,
  Revision,
} from './contract.ts';
import type { Comparison, HealthRecords, LevelChange, ServiceLevel } from './health_contract.ts';
import { isConflict, isLost, wasNotSent } from './postgres_errors.ts';
import { CHANNEL, PostgresFollower } from './postgres_follower.ts';
import {
  addLevelChanges,
  forgetLevelChanges,
  readComparisons,
  readLevelChanges,
  readServiceLevels,
  takeTurn,
  writeComparison,
  writeServiceLevels,
  writeTurn,
} from './postgres_health.ts';
import {
  type Database,
  PostgresLink,
  type PostgresOptions,
  type Transaction,
} from './postgres_link.ts';
import {
  type JobRow,
  jobOf,
  type ObjectRow,
  type RevisionRow,
  registeredOf,
  revisionOf,
} from './postgres_rows.ts';
import { preparePostgres } from './postgres_schema.ts';
import { SearchIndex } from './search_index.ts';
import { REVISIONS_TOLD, stalePlan } from './stale_plan.ts';
import { inStoringOrder } from './storing_order.ts';

/** How long applying a plan may take. */
const APPLY_MS = 60_000;
/** How long whoever lost the way meanwhile tries to learn what came of it. */
const SETTLE_MS = 30_000;
/** A transaction that meets another one begins again; by then that one is done. */
const TRIES = 5;
/** Rows of one statement; it has at most 65,534 parameters. */
const ROWS = 1_000;

/**
 * Opens the registry in a database and makes its tables if they are not there. Throws `registry/bad-url`,
 * `registry/unreachable`, `registry/forbidden`, `registry/cannot-open`, `registry/untrusted`, `registry/not-a-registry` and
 * `registry/unknown-format`.
 */
export async function openPostgresRegistry(options: PostgresOptions): Promise<Registry> {
  const link = new PostgresLink(options);
  const registry = new PostgresRegistry(link);
  try {
    await preparePostgres(link);
    await registry.start();
    return registry;
  } catch (error) {
    await registry.close();
    throw error;
  }
}

class PostgresRegistry implements Registry {
  readonly #link: PostgresLink;
  readonly #follower: PostgresFollower;
  #search: SearchIndex | null = null;
  /** The head that the index is of. */
  #indexed = -1;

  constructor(link: PostgresLink) {
    this.#link = link;
    this.#follower = new PostgresFollower(link);
  }

  start(): Promise<void> {
    return this.#follower.start();
  }

  async head(): Promise<number> {
    return this.#follower.head;
  }

  async load(options: { readonly retired?: boolean } = {}): Promise<Registered[]> {
    if (!options.retired) return [...this.#follower.live];
    const rows = await this.#read(
      (sql) => sql<ObjectRow[]>`select * from samewise.objects order by id`,
    );
    return rows.map(registeredOf);
  }

  async get(kind: DefinitionKind, name: string, version?: number): Promise<Registered | undefined> {
    const found = this.#follower.live.find(
      (object) =>
        object.kind === kind &&
        object.name === name &&
        (version === undefined ? object.state === 'current' : object.version === version),
    );
    if (found !== undefined || version === undefined) return found;
    const [row] = await this.#read(
      (sql) => sql<ObjectRow[]>`
        select * from samewise.objects where kind = ${kind} and name = ${name} and version = ${version}`,
    );
    return row && registeredOf(row);
  }

  async apply(request: Parameters<Registry['apply']>[0]): Promise<Revision> {
    let attempt = '';
    try {
      await this.#writeAlone(async (tx) => {
        attempt = await this.#store(tx, request);
      });
    } catch (error) {
      const { cause } = error as { cause?: unknown };
      if (!isLost(error) || wasNotSent(cause)) throw error;
      await this.#settle(attempt, error);
    }
    // The revision is there, whether or not it can be read back now.
    await this.#follower.catchUp().catch(() => {});
    const { expectedHead, author, atUs, message, changes } = request;
    return { number: expectedHead + 1, author, atUs, message, changes };
  }

  /** Gives the id of the attempt, before it is committed. */
  async #store(
    tx: Transaction,
    { expectedHead, author, atUs, message, changes, objects }: Parameters<Registry['apply']>[0],
  ): Promise<string> {
    const head = await headIn(tx);
    if (head !== expectedHead) {
      const since = await tx<RevisionRow[]>`
        select * from samewise.revisions where number > ${expectedHead}
        order by number desc limit ${REVISIONS_TOLD}`;
      throw stalePlan(expectedHead, head, since.map(revisionOf), {});
    }
    const number = head + 1;
    const attempt = await addRevision(tx, { number, author, atUs, message, changes });
    await storeObjects(tx, inStoringOrder(objects, number), number);
    await tx`select pg_notify(${CHANNEL}, ${String(number)})`;
    return attempt;
  }

  /** Whether what was being committed when the way was lost is there; throws unless it is. */
  async #settle(attempt: string, cause: unknown): Promise<void> {
    // Without an attempt the commit was never sent.
    let applied = attempt !== '';
    try {
      // Under the lock: whoever was about to commit has done so, or never will.
      applied &&= await this.#writeAlone(async (tx) => {
        const [row] = await tx`select 1 from samewise.revisions where attempt = ${attempt}`;
        return row !== undefined;
      }, SETTLE_MS);
    } catch {
      throw new SamewiseError(
        'registry/outcome-unknown',
        `the way to ${this.#link.name} was lost while the plan was applied: it was applied as a whole, or not at all`,
        {
          hint: 'when the registry is back, plan again: no changes means that it was applied',
          cause,
        },
      );
    }
    if (applied) return;
    throw new SamewiseError(
      'registry/unreachable',
      `the way to ${this.#link.name} was lost while the plan was applied: nothing of it was`,
      { hint: 'apply it again', cause },
    );
  }

  /**
   * A serialisable transaction, one at a time: the lock comes before the first look, so that whoever waited for it sees what the one
   * before did. Readers are not held up.
   */
  async #writeAlone<T>(body: (tx: Transaction) => Promise<T>, againMs?: number): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#link.transaction(
          'isolation level serializable',
          async (tx) => {
            // Nobody waits for ever for a process that was cut off in the middle.
            await tx`set local idle_in_transaction_session_timeout = '10s'`;
            await tx`set local lock_timeout = '30s'`;
            await tx`lock table samewise.revisions in share row exclusive mode`;
            return body(tx);
          },
          { patienceMs: APPLY_MS, againMs },
        );
      } catch (error) {
        const { cause } = error as { cause?: unknown };
        if (tries === TRIES || !(isConflict(error) || isConflict(cause))) throw error;
      }
    }
  }

  /** Waits for nobody who is away: who reads had better go on with what it has. */
  async #read<T>(body: (sql: Database) => PromiseLike<T>): Promise<T> {
    try {
      return await this.#link.call(body, { again: 'never' });
    } catch (error) {
      if (!isLost(error)) throw error;
      // A restarted server closes its connections: the next one may be good.
      await this.#follower.catchUp();
      return await this.#link.call(body, { again: 'never' });
    }
  }

  async revisions(limit = 50): Promise<Revision[]> {
    const rows = await this.#read(
      (sql) => sql<RevisionRow[]>`
        select * from samewise.revisions order by number desc limit ${limit}`,
    );
    return rows.map(revisionOf);
  }

  async search(
    text: string,
    filter: { entity?: string; owner?: string; tag?: string } = {},
    limit = 50,
  ): Promise<FeatureHit[]> {
    this.#search ??= new SearchIndex();
    if (this.#indexed !== this.#follower.head) {
      this.#search.update(this.#follower.live);
      this.#indexed = this.#follower.head;
    }
    return this.#search.search(text, filter, limit);
  }

  async startJob(job: Pick<Job, 'id' | 'kind' | 'view' | 'version' | 'startedUs'>): Promise<void> {
    const { id, kind, view, version, startedUs } = job;
    const { count } = await this.#link.call(
      (sql) => sql`
        insert into samewise.jobs (id, kind, view, version, status, started_us)
        values (${id}, ${kind}, ${view}, ${version}, 'running', ${startedUs})
        on conflict do nothing`,
    );
    if (count === 1) return;
    throw new SamewiseError('registry/job-exists', `there is already a job ${id}`);
  }

  async updateJob(
    id: string,
    change: Partial<Pick<Job, 'status' | 'finishedUs' | 'rows' | 'bytes' | 'error'>>,
  ): Promise<void> {
    const { status = null, finishedUs = null, rows = null, bytes = null, error = null } = change;
    const { count } = await this.#link.call(
      (sql) => sql`
        update samewise.jobs set status = coalesce(${status}, status),
          finished_us = coalesce(${finishedUs}, finished_us), rows = coalesce(${rows}, rows),
          bytes = coalesce(${bytes}, bytes), error = coalesce(${error}, error)
        where id = ${id}`,
      { again: 'lost' },
    );
    if (count === 1) return;
    throw new SamewiseError('registry/unknown-job', `there is no job ${id}`);
  }

  async jobs(filter: { view?: string; status?: Job['status'] } = {}, limit = 100): Promise<Job[]> {
    const { view, status } = filter;
    const rows = await this.#read(
      (sql) => sql<JobRow[]>`
        select * from samewise.jobs where true
        ${view === undefined ? sql`` : sql`and view = ${view}`}
        ${status === undefined ? sql`` : sql`and status = ${status}`}
        order by started_us desc, place desc limit ${limit}`,
    );
    return rows.map(jobOf);
  }

  comparisons(): Promise<Comparison[]> {
    return this.#read(readComparisons);
  }

  putComparison(comparison: Comparison): Promise<void> {
    return this.#link.call((sql) => writeComparison(sql, comparison), { again: 'lost' });
  }

  serviceLevels(): Promise<ServiceLevel[]> {
    return this.#read(readServiceLevels);
  }

  async putServiceLevels(
    ...[levels, changes, keepFromUs]: Parameters<HealthRecords['putServiceLevels']>
  ): Promise<void> {
    await this.#link.transaction('read write', async (tx) => {
      await writeServiceLevels(tx, levels);
      await addLevelChanges(tx, changes);
      await forgetLevelChanges(tx, keepFromUs);
    });
  }

  levelChanges(view: string | null): Promise<LevelChange[]> {
    return this.#read((sql) => readLevelChanges(sql, view));
  }

  takeTurn(turn: Parameters<HealthRecords['takeTurn']>[0]): Promise<boolean> {
    return this.#link.call((sql) => takeTurn(sql, turn));
  }

  putTurn(name: string, nextUs: number): Promise<void> {
    return this.#link.call((sql) => writeTurn(sql, name, nextUs), { again: 'lost' });
  }

  connection(): Connection {
    return this.#follower.connection;
  }

  onMoved(moved: () => void): void {
    this.#follower.onMoved(moved);
  }

  everything(): Promise<Everything> {
    return this.#link.transaction(
      'isolation level repeatable read read only',
      async (tx) => ({
        revisions: (await tx<RevisionRow[]>`select * from samewise.revisions order by number`).map(
          revisionOf,
        ),
        objects: (await tx<ObjectRow[]>`select * from samewise.objects order by id`).map(
          registeredOf,
        ),
        jobs: (await tx<JobRow[]>`select * from samewise.jobs order by started_us, place`).map(
          jobOf,
        ),
        comparisons: await readComparisons(tx),
        serviceLevels: await readServiceLevels(tx),
        levelChanges: await readLevelChanges(tx, null),
      }),
      { patienceMs: APPLY_MS },
    );
  }

  async takeOver(everything: Everything): Promise<void> {
    await this.#writeAlone(async (tx) => {
      const [jobs] = await tx`select 1 from samewise.jobs limit 1`;
      if ((await headIn(tx)) !== 0 || jobs !== undefined) {
        throw new SamewiseError('registry/not-empty', `${this.#link.name} is not empty`, {
          hint: 'a registry is taken over by an empty one',
        });
      }
      for (const revision of everything.revisions) await addRevision(tx, revision);
      const last = everything.revisions.at(-1)?.number ?? 0;
      await storeObjects(tx, everything.objects, last);
      const jobRows = everything.jobs.map(({ startedUs, finishedUs, ...job }) => ({
        ...job,
        started_us: startedUs,
        finished_us: finishedUs,
      }));
      for (let from = 0; from < jobRows.length; from += ROWS)
        await tx`insert into samewise.jobs ${tx(jobRows.slice(from, from + ROWS))}`;
      for (const comparison of everything.comparisons) await writeComparison(tx, comparison);
      await writeServiceLevels(tx, everything.serviceLevels);
      await addLevelChanges(tx, everything.levelChanges);
      await tx`select pg_notify(${CHANNEL}, ${String(last)})`;
    });
    await this.#follower.catchUp();
  }

  async close(): Promise<void> {
    this.#follower.close();
    this.#search?.close();
    this.#search = null;
    await this.#link.close();
  }
}

async function headIn(tx: Transaction): Promise<number> {
  const [row] = await tx<{ head: number }[]>`
    select coalesce(max(number), 0) as head from samewise.revisions`;
  return row!.head;
}

async function addRevision(tx: Transaction, revision: Revision): Promise<string> {
  const { number, author, atUs, message, changes } = revision;
  const [row] = await tx<{ attempt: string }[]>`
    insert into samewise.revisions (number, author, at_us, message, changes)
    values (${number}, ${author}, ${atUs}, ${message}, ${JSON.stringify(changes)})
    returning attempt`;
  return row!.attempt;
}

async function storeObjects(
  tx: Transaction,
  objects: readonly Registered[],
  touched: number,
): Promise<void> {
  const rows = objects.map(
    ({ kind, name, version, fingerprint, definition, pins, revision, state }) => ({
      kind,
      name,
      version,
      fingerprint,
      definition: definitionToJson(definition),
      pins: canonicalJson(pins),
      revision,
      state,
      touched,
    }),
  );
  for (let from = 0; from < rows.length; from += ROWS) {
    const some = rows.slice(from, from + ROWS);
    const stored = await tx<{ kind: string; name: string; version: number }[]>`
      insert into samewise.objects ${tx(some)}
      on conflict (kind, name, version) do update set definition = excluded.definition,
        pins = excluded.pins, state = excluded.state, touched = excluded.touched
      where objects.fingerprint = excluded.fingerprint
      returning kind, name, version`;
    if (stored.length === some.length) continue;
    const there = new Set(stored.map(({ kind, name, version }) => `${kind} ${version} ${name}`));
    const other = some.find(({ kind, name, version }) => !there.has(`${kind} ${version} ${name}`))!;
    throw new SamewiseError(
      'registry/version-conflict',
      `${other.kind} ${other.name} has a version ${other.version} of another meaning`,
      { hint: 'plan again from all versions, retired ones included' },
    );
  }
}
