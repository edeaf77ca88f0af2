/** The registry in one SQLite file: many readers and writers on one machine, every change a transaction. */
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { SamewiseError } from '../base/errors.ts';
import { canonicalJson } from '../base/hash.ts';
import type { DefinitionKind } from '../model/definitions.ts';
import { definitionFromJson, definitionToJson } from '../model/json.ts';
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
import { codedSqliteError } from './sqlite_errors.ts';
import {
  readComparisons,
  readLevelChanges,
  readServiceLevels,
  takeTurn,
  writeComparison,
  writeServiceLevels,
  writeTurn,
} from './sqlite_health.ts';
import { prepareSchema } from './sqlite_schema.ts';
import { indexFeatures, searchFeatures } from './sqlite_search.ts';
import { REVISIONS_TOLD, stalePlan } from './stale_plan.ts';
import { inStoringOrder } from './storing_order.ts';

/** How long a call waits for another process's transaction before it is `registry/locked`. */
const BUSY_TIMEOUT_MS = 5_000;

/**
 * Opens the registry in the file at `path` and makes it if it is not there; `:memory:` is one that is gone when closed.
 * Throws `registry/cannot-open`, `registry/corrupt`, `registry/read-only`, `registry/locked`, `registry/not-a-registry`
 * and `registry/unknown-format`.
 */
export async function openSqliteRegistry(path: string): Promise<Registry> {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true });
    prepareSchema(db, path);
    // Readers go on while a writer works; an applied plan survives a power cut.
    db.exec('pragma journal_mode = wal; pragma synchronous = full');
    return new SqliteRegistry(db, path);
  } catch (error) {
    db?.close();
    throw codedSqliteError(error, path);
  }
}

type Row = Record<string, SQLInputValue>;

class SqliteRegistry implements Registry {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #head: ReturnType<DatabaseSync['prepare']>;

  constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#path = path;
    this.#head = db.prepare('select coalesce(max(number), 0) as head from revisions');
  }

  async head(): Promise<number> {
    return this.#run(() => this.#headNow());
  }

  async load(options: { readonly retired?: boolean } = {}): Promise<Registered[]> {
    const live = options.retired ? '' : "where state <> 'retired'";
    return this.#run(() => this.#objectsNow(live));
  }

  #objectsNow(where: string): Registered[] {
    const rows = this.#db.prepare(`select * from objects ${where} order by rowid`).all();
    return (rows as Row[]).map(registeredOf);
  }

  async get(kind: DefinitionKind, name: string, version?: number): Promise<Registered | undefined> {
    const which = version === undefined ? "state = 'current'" : 'version = ?';
    const values = version === undefined ? [kind, name] : [kind, name, version];
    return this.#run(() => {
      const row = this.#db
        .prepare(`select * from objects where kind = ? and name = ? and ${which}`)
        .get(...values) as Row | undefined;
      return row === undefined ? undefined : registeredOf(row);
    });
  }

  async apply(request: Parameters<Registry['apply']>[0]): Promise<Revision> {
    const { expectedHead, author, atUs, message, changes, objects } = request;
    return this.#transaction(() => {
      const head = this.#headNow();
      if (head !== expectedHead) {
        const since = this.#revisionsNow(REVISIONS_TOLD).filter((r) => r.number > expectedHead);
        throw stalePlan(expectedHead, head, since, { file: this.#path });
      }
      const revision = { number: head + 1, author, atUs, message, changes };
      this.#addRevision(revision);
      this.#storeObjects(inStoringOrder(objects, revision.number));
      return revision;
    });
  }

  #addRevision({ number, author, atUs, message, changes }: Revision): void {
    this.#db
      .prepare('insert into revisions values (?, ?, ?, ?, ?)')
      .run(number, author, atUs, message, JSON.stringify(changes));
  }

  #storeObjects(objects: readonly Registered[]): void {
    const store = this.#db.prepare(`
      insert into objects (kind, name, version, fingerprint, definition, pins, revision, state)
      values (?, ?, ?, ?, ?, ?, ?, ?)
      on conflict (kind, name, version) do update
      set definition = excluded.definition, pins = excluded.pins, state = excluded.state
      where fingerprint = excluded.fingerprint`);
    for (const object of objects) {
      const { changes } = store.run(
        object.kind,
        object.name,
        object.version,
        object.fingerprint,
        definitionToJson(object.definition),
        canonicalJson(object.pins),
        object.revision,
        object.state,
      );
      if (changes === 1) continue;
      throw new SamewiseError(
        'registry/version-conflict',
        `${object.kind} ${object.name} has a version ${object.version} of another meaning`,
        { hint: 'plan again from all versions, retired ones included' },
      );
    }
    indexFeatures(this.#db, new Set(objects.map(({ name }) => name)));
  }

  async revisions(limit = 50): Promise<Revision[]> {
    return this.#run(() => this.#revisionsNow(limit));
  }

  #revisionsNow(limit: number): Revision[] {
    const rows = this.#db
      .prepare('select * from revisions order by number desc limit ?')
      .all(limit) as Row[];
    return rows.map((row) => ({
      number: row.number as number,
      author: row.author as string,
      atUs: row.at_us as number,
      message: row.message as string,
      changes: JSON.parse(row.changes as string),
    }));
  }

  async search(
    text: string,
    filter: { entity?: string; owner?: string; tag?: string } = {},
    limit = 50,
  ): Promise<FeatureHit[]> {
    return this.#run(() => searchFeatures(this.#db, text, filter, limit));
  }

  async startJob(job: Pick<Job, 'id' | 'kind' | 'view' | 'version' | 'startedUs'>): Promise<void> {
    this.#run(() => {
      const { changes } = this.#db
        .prepare(
          `insert into jobs (id, kind, view, version, status, started_us)
           values (?, ?, ?, ?, 'running', ?) on conflict do nothing`,
        )
        .run(job.id, job.kind, job.view, job.version, job.startedUs);
      if (changes === 1) return;
      throw new SamewiseError('registry/job-exists', `there is already a job ${job.id}`);
    });
  }

  async updateJob(
    id: string,
    change: Partial<Pick<Job, 'status' | 'finishedUs' | 'rows' | 'bytes' | 'error'>>,
  ): Promise<void> {
    this.#run(() => {
      const { changes } = this.#db
        .prepare(
          `update jobs set status = coalesce(?, status), finished_us = coalesce(?, finished_us),
           rows = coalesce(?, rows), bytes = coalesce(?, bytes), error = coalesce(?, error) where id = ?`,
        )
        .run(
          change.status ?? null,
          change.finishedUs ?? null,
          change.rows ?? null,
          change.bytes ?? null,
          change.error ?? null,
          id,
        );
      if (changes === 1) return;
      throw new SamewiseError('registry/unknown-job', `there is no job ${id}`);
    });
  }

  async jobs(filter: { view?: string; status?: Job['status'] } = {}, limit = 100): Promise<Job[]> {
    const { view = null, status = null } = filter;
    return this.#run(() => this.#jobsNow(view, status, limit));
  }

  #jobsNow(view: string | null, status: string | null, limit: number): Job[] {
    const rows = this.#db
      .prepare(
        `select * from jobs where (?1 is null or view = ?1) and (?2 is null or status = ?2)
         order by started_us desc, rowid desc limit ?3`,
      )
      .all(view, status, limit) as Row[];
    return rows.map(jobOf);
  }

  async comparisons(): Promise<Comparison[]> {
    return this.#run(() => readComparisons(this.#db));
  }

  async putComparison(comparison: Comparison): Promise<void> {
    this.#run(() => writeComparison(this.#db, comparison));
  }

  async serviceLevels(): Promise<ServiceLevel[]> {
    return this.#run(() => readServiceLevels(this.#db));
  }

  async putServiceLevels(
    ...[levels, changes, keepFromUs]: Parameters<HealthRecords['putServiceLevels']>
  ): Promise<void> {
    this.#transaction(() => writeServiceLevels(this.#db, levels, changes, keepFromUs));
  }

  async levelChanges(view: string | null): Promise<LevelChange[]> {
    return this.#run(() => readLevelChanges(this.#db, view));
  }

  async takeTurn(turn: Parameters<HealthRecords['takeTurn']>[0]): Promise<boolean> {
    return this.#run(() => takeTurn(this.#db, turn));
  }

  async putTurn(name: string, nextUs: number): Promise<void> {
    this.#run(() => writeTurn(this.#db, name, nextUs));
  }

  connection(): Connection {
    return { connected: true, lost: 0 };
  }

  /** A file tells nobody. */
  onMoved(): void {}

  async everything(): Promise<Everything> {
    return this.#transaction(() => ({
      revisions: this.#revisionsNow(-1).toReversed(),
      objects: this.#objectsNow(''),
      jobs: this.#jobsNow(null, null, -1).toReversed(),
      comparisons: readComparisons(this.#db),
      serviceLevels: readServiceLevels(this.#db),
      levelChanges: readLevelChanges(this.#db, null),
    }));
  }

  async takeOver(everything: Everything): Promise<void> {
    this.#transaction(() => {
      if (this.#headNow() !== 0 || this.#jobsNow(null, null, 1).length > 0) {
        throw new SamewiseError('registry/not-empty', `${this.#path} is not empty`, {
          where: { file: this.#path },
          hint: 'a registry is taken over by an empty one',
        });
      }
      for (const revision of everything.revisions) this.#addRevision(revision);
      this.#storeObjects(everything.objects);
      const addJob = this.#db.prepare('insert into jobs values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
      for (const job of everything.jobs)
        addJob.run(
          job.id,
          job.kind,
          job.view,
          job.version,
          job.status,
          job.startedUs,
          job.finishedUs,
          job.rows,
          job.bytes,
          job.error,
        );
      for (const comparison of everything.comparisons) writeComparison(this.#db, comparison);
      const { serviceLevels, levelChanges } = everything;
      writeServiceLevels(this.#db, serviceLevels, levelChanges, Number.MIN_SAFE_INTEGER);
    });
  }

  async close(): Promise<void> {
    if (this.#db.isOpen) this.#db.close();
  }

  #headNow(): number {
    return (this.#head.get() as { head: number }).head;
  }

  #run<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      throw codedSqliteError(error, this.#path);
    }
  }

  /** All of `body` or nothing; waits for other writers before it reads anything. */
  #transaction<T>(body: () => T): T {
    return this.#run(() => {
      this.#db.exec('begin immediate');
      try {
        const result = body();
        this.#db.exec('commit');
        return result;
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('rollback');
        throw error;
      }
    });
  }
}

function registeredOf(row: Row): Registered {
  return {
    kind: row.kind as DefinitionKind,
    name: row.name as string,
    version: row.version as number,
    fingerprint: row.fingerprint as string,
    definition: definitionFromJson(row.definition as string),
    pins: JSON.parse(row.pins as string),
    revision: row.revision as number,
    state: row.state as Registered['state'],
  };
}

function jobOf(row: Row): Job {
  return {
    id: row.id as string,
    kind: row.kind as string,
    view: row.view as string,
    version: row.version as number,
    status: row.status as Job['status'],
    startedUs: row.started_us as number,
    finishedUs: row.finished_us as number | null,
    rows: row.rows as number,
    bytes: row.bytes as number,
    error: row.error as string | null,
  };
}
