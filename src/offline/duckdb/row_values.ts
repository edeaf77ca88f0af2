/**
 * Values of rows that DuckDB asks for while it scans a table: a scalar function of the row's number. So its threads read and write
 * side by side, and nothing is stored twice on the way.
 */
import {
  BIGINT,
  type DuckDBConnection,
  DuckDBScalarFunction,
  INTEGER,
  STRUCT,
} from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import { assert, SamewiseError } from '../../base/errors.ts';
import type { Schema } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { joinColumns, sliceColumn } from '../../types/column_parts.ts';
import { duckdbType, fillStruct } from './chunks.ts';

/** Consecutive rows from number `from` on. */
export interface Rows {
  readonly from: number;
  readonly length: number;
  readonly columns: readonly Column[];
}

export interface RowSource {
  readonly schema: Schema;
  /** Rows of which number `row` is one. Called in the order of the scan's threads: nearly that of the rows. */
  rowsAt(row: number): Rows;
}

interface Open extends RowSource {
  /** What the source threw: DuckDB would only keep its message. */
  failure: unknown;
}

/** The functions of one engine. Values are made synchronously, while a thread of DuckDB's waits. */
export class RowValues {
  readonly #open = new Map<number, Open>();
  /** Functions by the types that they give. */
  readonly #functions = new Map<string, string>();
  #next = 0;

  /**
   * Runs `body` with the SQL of a struct of the row's values, its fields f0, f1, … in the order of the schema. It must be evaluated
   * over all columns of a table in the table's order, for `rowid`.
   */
  async use<T>(
    connection: DuckDBConnection,
    source: RowSource,
    body: (values: string) => Promise<T>,
  ): Promise<T> {
    const called = this.#functionOf(connection, source.schema);
    const id = this.#next++;
    const open: Open = {
      schema: source.schema,
      rowsAt: (row) => source.rowsAt(row),
      failure: null,
    };
    this.#open.set(id, open);
    try {
      return await body(`${called}(${id}, rowid)`);
    } catch (error) {
      throw open.failure ?? error;
    } finally {
      this.#open.delete(id);
    }
  }

  #functionOf(connection: DuckDBConnection, schema: Schema): string {
    const fields = schema.map(({ dtype }, i) => [`f${i}`, duckdbType(dtype)] as const);
    const type = STRUCT(Object.fromEntries(fields));
    const known = this.#functions.get(type.toString());
    if (known !== undefined) return known;
    const called = `samewise_values_${this.#functions.size}`;
    const made = new DuckDBScalarFunction();
    made.setName(called);
    made.addParameter(INTEGER);
    made.addParameter(BIGINT);
    made.setReturnType(type);
    // Else DuckDB might ask once for each field.
    made.setVolatile();
    duckdb.scalar_function_set_function(made.scalar_function, (info, input, output) => {
      const count = duckdb.data_chunk_get_size(input);
      if (count === 0) return;
      const ids = duckdb.vector_get_data(duckdb.data_chunk_get_vector(input, 0), 4);
      const open = this.#open.get(new Int32Array(ids.buffer, ids.byteOffset, 1)[0]!)!;
      const raw = duckdb.vector_get_data(duckdb.data_chunk_get_vector(input, 1), 8 * count);
      const numbers = new Int32Array(raw.buffer, raw.byteOffset, 2 * count);
      const first = rowNumber(numbers, 0);
      try {
        assert(rowNumber(numbers, count - 1) === first + count - 1, 'rows come in their order');
        const { columns, at } = rowsFrom(open, first, count);
        fillStruct(output, columns, at, count);
      } catch (error) {
        open.failure ??= error;
        const told = error instanceof SamewiseError ? error.message : String(error);
        duckdb.scalar_function_set_error(info, told);
      }
    });
    connection.registerScalarFunction(made);
    this.#functions.set(type.toString(), called);
    return called;
  }
}

function rowNumber(halves: Int32Array, row: number): number {
  return (halves[2 * row]! >>> 0) + halves[2 * row + 1]! * 2 ** 32;
}

/** Columns that hold `count` rows from number `first` on, from their row `at`. */
function rowsFrom(
  source: RowSource,
  first: number,
  count: number,
): { columns: readonly Column[]; at: number } {
  const rows = source.rowsAt(first);
  const at = first - rows.from;
  if (at + count <= rows.length) return { columns: rows.columns, at };
  const parts: (readonly Column[])[] = [];
  for (let row = first; row < first + count; ) {
    const { from, length, columns } = source.rowsAt(row);
    const to = Math.min(from + length, first + count);
    parts.push(columns.map((column) => sliceColumn(column, row - from, to - from)));
    row = to;
  }
  return {
    columns: source.schema.map(({ dtype }, i) =>
      joinColumns(
        dtype,
        parts.map((part) => part[i]!),
      ),
    ),
    at: 0,
  };
}
