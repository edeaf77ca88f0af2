/** Training sets: labels and a plan in, one file out, a row for each label in label order. */
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { SamewiseError } from '../../base/errors.ts';
import {
  assemble,
  type BatchLocation,
  keyColumnsOf,
  planService,
  type ServicePlan,
  sweptDtypes,
  type ViewProgram,
} from '../../model/index.ts';
import type { Batch, Schema } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { float64, timestamp } from '../../types/dtype.ts';
import type { Progress, TrainingRequest } from '../contract.ts';
import { appendBatch, createTable } from './append_table.ts';
import { joinBatches, sliceBatch } from './columns.ts';
import { type Engine, name, rowsOf, withConnection } from './engine.ts';
import { enrich } from './enrich.ts';
import type { Feeds } from './feed.ts';
import { type Positions, positionsOf } from './history_scan.ts';
import { lookUpInMemory, mayBeInMemory } from './in_memory.ts';
import { type Labels, openLabels } from './labels.ts';
import { type Asked, type LookupRequest, lookUp } from './lookup.ts';
import { readBatches, wireExpression } from './read.ts';
import type { RowSource, Rows, RowValues } from './row_values.ts';
import type { Paths } from './scan.ts';
import { blockRowsOf, Scatter } from './scatter.ts';
import { ROW_GROUP_ROWS, writeQuery } from './write.ts';

export interface TrainContext {
  readonly engine: Engine;
  readonly feeds: Feeds;
  readonly rowValues: RowValues;
  readonly paths: Paths;
}

/** A request whose labels lie in files or a query. */
export type BuildRequest = TrainingRequest & {
  readonly labels: BatchLocation;
  /** By source, how far the history of its stream is read; null: as far as it is now. */
  readonly positions: ReadonlyMap<string, Positions> | null;
};

/** What was made, besides the file. */
export interface Trained {
  readonly rows: number;
  readonly bytes: number;
  readonly scannedRows: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
  readonly labelFiles: readonly string[];
  readonly sourceFiles: Readonly<Record<string, readonly string[]>>;
  readonly positions: ReadonlyMap<string, Positions>;
}

/** Builds the training set of a request into its output file. The manifest is the caller's. */
export async function buildTrainingSet(
  context: TrainContext,
  request: BuildRequest,
): Promise<Trained> {
  const { engine } = context;
  const plan = planService(request.catalog, request.members);
  const table = engine.tableName('labels');
  return withConnection(engine, request.signal, async (connection) => {
    const run = new TrainingRun(context, request, plan, connection, table);
    try {
      return await run.run();
    } finally {
      await run.close();
    }
  });
}

/** What the values of a row are called until they are columns. */
const VALUES = '"samewise:values"';

/** Labels at most for look-ups in threads: from more than these DuckDB's sorts and the spilled values need the memory that threads take. */
const THREADS_ROWS = 2 ** 22;

class TrainingRun {
  readonly #context: TrainContext;
  readonly #request: BuildRequest;
  readonly #plan: ServicePlan;
  readonly #connection: DuckDBConnection;
  readonly #table: string;
  readonly #looked: Scatter[] = [];
  #asked: Scatter | null = null;
  /** Rows that go through JavaScript at a time. */
  #blockRows = 1;
  readonly #scanned: Record<string, number> = {};
  readonly #files: Record<string, readonly string[]> = {};
  readonly #keyless: Record<string, number> = {};
  /** Fixed before anything is read: look-ups of one source must see the same events of it. */
  readonly #positions = new Map<string, Positions>();

  constructor(
    context: TrainContext,
    request: BuildRequest,
    plan: ServicePlan,
    connection: DuckDBConnection,
    table: string,
  ) {
    this.#context = context;
    this.#request = request;
    this.#plan = plan;
    this.#connection = connection;
    this.#table = table;
  }

  async run(): Promise<Trained> {
    const { paths } = this.#context;
    const plan = this.#plan;
    await this.#fixPositions();
    this.#report('labels', 0, null);
    const labels = await openLabels(this.#connection, {
      labels: this.#request.labels,
      timeColumn: this.#request.timeColumn,
      needed: [...plan.keyColumns, ...plan.requestColumns],
      projectDir: paths.projectDir,
      table: this.#table,
    });
    this.#report('labels', labels.rows, labels.rows);
    checkNames(plan, labels);
    this.#blockRows = blockRowsOf(labels.rows, [
      ...this.#requestSchema().map(({ dtype }) => dtype),
      ...plan.lookups.flatMap(sweptDtypes),
    ]);
    if (this.#needsRequest()) this.#asked = await this.#loadRequest(labels);
    await this.#lookUpAll(labels);
    const bytes = await this.#write(labels);
    return {
      rows: labels.rows,
      bytes,
      scannedRows: this.#scanned,
      warnings: Object.entries(this.#keyless).map(
        ([view, rows]) => `${rows} events of ${view} have no key and belong to nobody`,
      ),
      labelFiles: labels.files,
      sourceFiles: this.#files,
      positions: this.#positions,
    };
  }

  async #fixPositions(): Promise<void> {
    const { positions } = this.#request;
    // Those that others look up come last: a stream commits a row after what it looks up.
    const programs = this.#plan.lookups.map(({ program }) => program);
    const lookedUp = programs.flatMap(({ lookups }) => lookups.map(({ program }) => program));
    const enriched = programs.filter(({ lookups }) => lookups.length > 0);
    for (const program of [...enriched, ...programs, ...lookedUp]) {
      const { name: source } = program.source;
      const known = positions === null ? this.#positions.get(source) : positions.get(source);
      const now = () => positionsOf(source, this.#context.paths.historyDir);
      this.#positions.set(source, known ?? (positions === null ? await now() : new Map()));
    }
  }

  #report(phase: string, rows: number, totalRows: number | null): void {
    const progress: Progress = { phase, rows, totalRows };
    this.#request.onProgress?.(progress);
  }

  /** Label columns are only carried through JavaScript where an on-demand view or a look-up via a feature needs them. */
  #needsRequest(): boolean {
    const { lookups, computations } = this.#plan;
    return computations.length > 0 || lookups.some(({ level }) => level > 0);
  }

  #requestSchema(): Schema {
    const { keyColumns, requestColumns } = this.#plan;
    return [...keyColumns, ...requestColumns];
  }

  async #loadRequest(labels: Labels): Promise<Scatter> {
    const schema = this.#requestSchema();
    const scatter = this.#scatter(
      labels.rows,
      schema.map(({ dtype }) => dtype),
      'request',
    );
    const columns = schema.map((field) => wireExpression(labels.value(field.name), field.dtype));
    const batches = readBatches(
      this.#connection,
      `SELECT rowid::DOUBLE, ${columns.join(', ')} FROM ${name(labels.table)}`,
      [{ name: 'samewise:row', dtype: float64 }, ...schema],
    );
    for await (const batch of batches)
      scatter.add(
        (batch.columns['samewise:row'] as Column & { kind: 'float64' }).data,
        schema.map((field) => batch.columns[field.name]!),
      );
    return scatter;
  }

  #scatter(rows: number, dtypes: Schema[number]['dtype'][], what: string): Scatter {
    const { engine } = this.#context;
    return new Scatter(
      rows,
      this.#blockRows,
      dtypes,
      join(engine.spillDir, `${this.#table}-${what}`),
    );
  }

  /** Look-ups of one level side by side, as many as the engine has threads: while DuckDB reads for one, the kernel sweeps another. */
  async #lookUpAll(labels: Labels): Promise<void> {
    const { lookups, depth } = this.#plan;
    lookups.forEach((lookup, i) => {
      this.#looked.push(this.#scatter(labels.rows, [...sweptDtypes(lookup)], `lookup-${i}`));
    });
    const threads = await this.#threads();
    const done = new Set<number>();
    for (const group of this.#inMemory(labels))
      if (await this.#lookUpInMemory(group, labels, threads)) for (const i of group) done.add(i);
    for (let level = 0; level < depth; level++) {
      const left = lookups
        .map((_, i) => i)
        .filter((i) => lookups[i]!.level === level && !done.has(i));
      const running = Array.from({ length: Math.max(2, threads) }, async () => {
        for (let next = left.shift(); next !== undefined; next = left.shift())
          await this.#lookUp(next, labels);
      });
      // All must have ended before what they read from is dropped.
      for (const ended of await Promise.allSettled(running))
        if (ended.status === 'rejected') throw ended.reason;
    }
  }

  /** Look-ups of the same source that may read it together in memory. */
  #inMemory(labels: Labels): number[][] {
    const enough = labels.rows > 0 && this.#inThreads(labels) && labels.rows <= this.#blockRows;
    if (!enough) return [];
    const groups = new Map<string, number[]>();
    this.#plan.lookups.forEach((lookup, i) => {
      if (!mayBeInMemory(lookup, this.#request.knowledge)) return;
      const { name: source } = lookup.program.source;
      groups.set(source, [...(groups.get(source) ?? []), i]);
    });
    return [...groups.values()].filter((group) => group.length > 1);
  }

  #inThreads({ rows }: Labels): boolean {
    return rows >= this.#context.engine.threadRows && rows <= THREADS_ROWS;
  }

  /** False, and nothing was done, where this way is not open. */
  async #lookUpInMemory(
    group: readonly number[],
    labels: Labels,
    threads: number,
  ): Promise<boolean> {
    const lookups = group.map((i) => this.#plan.lookups[i]!);
    const { source } = lookups[0]!.program;
    const { timeColumn, through, knowledge, catalog, signal } = this.#request;
    const given = await lookUpInMemory({
      engine: this.#context.engine,
      paths: this.#context.paths,
      upTo: this.#positions.get(source.name)!,
      catalog,
      lookups,
      labels,
      location: this.#request.labels,
      timeColumn,
      through,
      knowledge,
      signal,
      threads,
      onHistory: (rows) => this.#report(`scan ${source.name}`, rows, null),
      onLabels: ({ program }, rows) => this.#report(`join ${program.view.name}`, rows, labels.rows),
    });
    if (given === null) return false;
    group.forEach((i, at) => {
      this.#looked[i]!.fill(given.swept[at]!);
    });
    this.#files[source.name] = given.files;
    this.#scanned[source.name] = (this.#scanned[source.name] ?? 0) + given.scannedRows;
    return true;
  }

  async #threads(): Promise<number> {
    const [found] = await rowsOf(this.#connection, "SELECT current_setting('threads') AS n");
    return Number(found!.n);
  }

  async #lookUp(index: number, labels: Labels): Promise<void> {
    const lookup = this.#plan.lookups[index]!;
    const { program } = lookup;
    const { source, view } = program;
    const out = this.#looked[index]!;
    const via = lookup.level > 0;
    const asked = via
      ? await this.#askVia(index, labels)
      : askLabels(lookup.keys, labels, this.#request.timeColumn);
    let done = 0;
    try {
      this.#files[source.name] = await lookUp(
        {
          engine: this.#context.engine,
          paths: this.#context.paths,
          upTo: this.#positions.get(source.name)!,
          mayBeEmpty: false,
          catalog: this.#request.catalog,
          lookup,
          asked,
          through: this.#request.through,
          knowledge: this.#request.knowledge,
          signal: this.#request.signal,
          inThread: this.#inThreads(labels),
          enrich: program.lookups.length === 0 ? null : this.#enrich(program),
          onHistory: (rows) => this.#onScanned(source.name, rows),
          onKeyless: (rows) => {
            this.#keyless[view.name] = (this.#keyless[view.name] ?? 0) + rows;
          },
          onLabels: (rows) => {
            done += rows;
            this.#report(`join ${view.name}`, done, labels.rows);
          },
        },
        out,
      );
    } finally {
      if (via) await this.#connection.run(`DROP TABLE ${asked.from}`);
    }
  }

  #enrich(program: ViewProgram): LookupRequest['enrich'] {
    const { engine, paths } = this.#context;
    const { catalog, signal } = this.#request;
    return (connection, scan, only) =>
      enrich(
        {
          engine,
          paths,
          catalog,
          program,
          only,
          upToOf: (source) => this.#positions.get(source)!,
          signal,
          onRows: (source, rows) => this.#onScanned(source, rows),
          onFiles: (source, files) => {
            this.#files[source] = files;
          },
        },
        connection,
        scan,
      );
  }

  #onScanned(source: string, rows: number): void {
    this.#scanned[source] = (this.#scanned[source] ?? 0) + rows;
    this.#report(`scan ${source}`, this.#scanned[source]!, null);
  }

  /** The keys of a look-up via features of earlier ones, as a table. */
  async #askVia(index: number, labels: Labels): Promise<Asked> {
    const { engine } = this.#context;
    const lookup = this.#plan.lookups[index]!;
    const keys = lookup.program.keyDtypes.map((dtype, i) => ({ name: `k${i}`, dtype }));
    const schema: Schema = [{ name: 't', dtype: timestamp }, ...keys];
    const table = await createTable(this.#connection, engine.tableName('via'), schema);
    const writer = await engine.connect();
    // Look-ups run side by side, and a connection streams one result at a time.
    const reader = await engine.connect();
    const times = exactBatches(
      readBatches(
        reader,
        `SELECT epoch_us(${labels.value(this.#request.timeColumn)})::DOUBLE FROM ${name(labels.table)}`,
        [{ name: 't', dtype: timestamp }],
        this.#blockRows,
      ),
      this.#blockRows,
    );
    try {
      let block = 0;
      for await (const batch of times) {
        const looked = this.#looked.map((scatter, i) =>
          this.#plan.lookups[i]!.level < lookup.level ? scatter.block(block) : [],
        );
        const from = block * this.#blockRows;
        const request = this.#requestPart(from, from + batch.length);
        const columns: Record<string, Column> = { t: batch.columns.t! };
        keyColumnsOf(this.#plan, lookup, looked, request).forEach((column, i) => {
          columns[`k${i}`] = column;
        });
        await appendBatch(writer, table, schema, { length: batch.length, columns });
        block++;
      }
    } finally {
      reader.closeSync();
      writer.closeSync();
    }
    return { from: name(table), row: 'rowid', time: 't', keys: keys.map((key) => key.name) };
  }

  #requestPart(from: number, to: number): Batch {
    const length = to - from;
    if (this.#asked === null) return { length, columns: {} };
    const columns = this.#asked.part(from, to);
    return {
      length,
      columns: Object.fromEntries(this.#requestSchema().map((f, i) => [f.name, columns[i]!])),
    };
  }

  async #write(labels: Labels): Promise<number> {
    const { rowValues } = this.#context;
    const { outputs } = this.#plan;
    const schema = outputs.map(({ name: column, dtype }) => ({ name: column, dtype }));
    // Each thread is in a row group of its own.
    const rowsAt = this.#rowsAt(labels.rows, (await this.#threads()) + 1);
    return rowValues.use(this.#connection, { schema, rowsAt }, (values) => {
      const fields = outputs.map((output, i) => `${VALUES}.f${i} AS ${name(output.name)}`);
      const all = `SELECT *, ${values} AS ${VALUES} FROM ${name(labels.table)}`;
      return writeQuery(
        this.#connection,
        `SELECT * EXCLUDE (${VALUES}), ${fields.join(', ')} FROM (${all})`,
        this.#request.output,
      );
    });
  }

  /** The outputs by row, a part of a block at a time; of those that were asked for last so many are kept. */
  #rowsAt(rows: number, kept: number): RowSource['rowsAt'] {
    const parts = new Map<number, Rows>();
    let done = 0;
    return (row) => {
      const block = row - (row % this.#blockRows);
      const from = row - ((row - block) % ROW_GROUP_ROWS);
      let found = parts.get(from);
      parts.delete(from);
      if (found === undefined) {
        this.#request.signal?.throwIfAborted();
        if (parts.size >= kept) parts.delete(parts.keys().next().value!);
        const to = Math.min(from + ROW_GROUP_ROWS, block + this.#blockRows, rows);
        const length = to - from;
        const looked = this.#looked.map((scatter) => scatter.part(from, to));
        const { columns } = assemble(this.#plan, looked, this.#requestPart(from, to));
        found = { from, length, columns };
        done = Math.max(done, from + length);
        this.#report('write', done, rows);
      }
      parts.set(from, found);
      return found;
    };
  }

  async close(): Promise<void> {
    for (const scatter of [...this.#looked, this.#asked]) scatter?.close();
    await this.#connection.run(`DROP TABLE IF EXISTS ${name(this.#table)}`);
  }
}

function askLabels(
  keys: ServicePlan['lookups'][number]['keys'],
  labels: Labels,
  timeColumn: string,
): Asked {
  return {
    from: name(labels.table),
    row: 'rowid',
    time: labels.value(timeColumn),
    keys: keys.map((slot) => labels.value((slot as { column: string }).column)),
  };
}

/** Regroups batches so that each has exactly `rows` rows, but for the last. */
async function* exactBatches(batches: AsyncIterable<Batch>, rows: number): AsyncGenerator<Batch> {
  let pending: Batch | null = null;
  for await (const batch of batches) {
    let rest: Batch = pending === null ? batch : joinBatches([pending, batch]);
    while (rest.length >= rows) {
      yield sliceBatch(rest, 0, rows);
      rest = sliceBatch(rest, rows, rest.length);
    }
    pending = rest.length === 0 ? null : rest;
  }
  if (pending !== null) yield pending;
}

/** Outputs beside the labels' own columns: no name may come twice. */
function checkNames(plan: ServicePlan, labels: Labels): void {
  const taken = new Map([...labels.columns.keys()].map((column) => [column.toLowerCase(), column]));
  for (const output of plan.outputs) {
    const column = taken.get(output.name.toLowerCase());
    if (column === undefined) continue;
    throw new SamewiseError(
      'offline/bad-labels',
      `the labels have a column ${column}, which is also the name of ${output.ref}`,
      { where: { column }, hint: 'rename the label column, or use the view with as("…")' },
    );
  }
}
