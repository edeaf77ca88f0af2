/** A table function through which DuckDB pulls our columns: `samewise_feed(id)`. */
import {
  type DuckDBDataChunk as Chunk,
  type DuckDBConnection,
  DuckDBTableFunction,
  INTEGER,
} from '@duckdb/node-api';
import { SamewiseError } from '../../base/errors.ts';
import type { Schema } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { CHUNK_ROWS, duckdbType, fillChunk } from './chunks.ts';

export interface Feed {
  readonly schema: Schema;
  /** The next rows as columns of the schema; called only when the last ones are used up. */
  readonly pieces: Iterator<readonly Column[]>;
}

interface Open extends Feed {
  piece: readonly Column[] | null;
  at: number;
  /** What the pieces threw: DuckDB would only keep its message. */
  failure: unknown;
}

/** Feeds of one engine. Pieces are made synchronously, while DuckDB waits. */
export class Feeds {
  readonly #open = new Map<number, Open>();
  #next = 0;
  #registered = false;

  /** Runs `body` with the SQL of a FROM item that gives the feed's rows, once and in order. */
  async use<T>(
    connection: DuckDBConnection,
    feed: Feed,
    body: (from: string) => Promise<T>,
  ): Promise<T> {
    if (!this.#registered) {
      connection.registerTableFunction(this.#tableFunction());
      this.#registered = true;
    }
    const id = this.#next++;
    const open: Open = { ...feed, piece: null, at: 0, failure: null };
    this.#open.set(id, open);
    try {
      return await body(`samewise_feed(${id})`);
    } catch (error) {
      throw open.failure ?? error;
    } finally {
      this.#open.delete(id);
    }
  }

  #tableFunction(): DuckDBTableFunction {
    return DuckDBTableFunction.create({
      name: 'samewise_feed',
      parameterTypes: [INTEGER],
      bindFunction: (bind) => {
        const id = Number(bind.getParameter(0));
        for (const field of this.#open.get(id)!.schema)
          bind.addResultColumn(field.name, duckdbType(field.dtype));
        bind.setBindData({ id });
      },
      initFunction: (init) => init.setMaxThreads(1),
      mainFunction: (info, out) => {
        const open = this.#open.get((info.getBindData() as { id: number }).id)!;
        try {
          fill(open, out);
        } catch (error) {
          open.failure = error;
          info.setError(error instanceof SamewiseError ? error.message : String(error));
        }
      },
    });
  }
}

function fill(open: Open, out: Chunk): void {
  while (open.piece === null || open.at === open.piece[0]!.length) {
    const next = open.pieces.next();
    if (next.done === true) return fillChunk(out, [], 0, 0);
    open.piece = next.value;
    open.at = 0;
  }
  const count = Math.min(CHUNK_ROWS, open.piece[0]!.length - open.at);
  fillChunk(out, open.piece, open.at, count);
  open.at += count;
}
