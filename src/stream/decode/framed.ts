/**
 * Records that were written through a schema registry: a zero byte, the number of the schema (4 bytes, highest first), the
 * value. What a schema needs is prepared once for its number; a schema that the source cannot be read from is one coded
 * error, of every record that carries its number, and is told once.
 */
import { SamewiseError } from '../../base/errors.ts';
import type { Source } from '../../model/definitions.ts';
import { printDtype } from '../../types/dtype.ts';
import type { RegisteredSchema, SchemaRegistry } from './registry.ts';

/** Bytes before the value. */
export const FRAME_BYTES = 5;

/** A schema from which the source can no longer be read. */
export interface SchemaChange {
  readonly source: string;
  readonly schemaId: number;
  /** Why, column by column: `was` is the type that was read so far, or that the source declares; `is` null: the column is gone. */
  readonly columns: readonly ColumnChange[];
}

export interface ColumnChange {
  readonly column: string;
  readonly was: string;
  readonly is: string | null;
}

/** The number of the schema of a framed value. Throws `stream/not-framed`. */
export function schemaIdOf(bytes: Uint8Array): number {
  if (bytes.length < FRAME_BYTES || bytes[0] !== 0) {
    throw new SamewiseError(
      'stream/not-framed',
      'the value does not begin with a zero byte and the number of its schema',
      {
        hint: 'write it with a serialiser of the schema registry, or declare the format that it has',
      },
    );
  }
  return ((bytes[1]! << 24) | (bytes[2]! << 16) | (bytes[3]! << 8) | bytes[4]!) >>> 0;
}

/** What is prepared of the schemas that were met. */
export class Schemas<T> {
  readonly #registry: SchemaRegistry | null;
  readonly #prepare: (schema: RegisteredSchema) => T | Promise<T>;
  readonly #prepared = new Map<number, T | SamewiseError>();

  /** `prepare` may throw coded errors: they are remembered as what is wrong with the schema. */
  constructor(
    registry: SchemaRegistry | null,
    prepare: (schema: RegisteredSchema) => T | Promise<T>,
  ) {
    this.#registry = registry;
    this.#prepare = prepare;
  }

  /** Prepares the schemas of all framed values. Rejects with `stream/registry-unavailable`. */
  async ready(values: Iterable<Uint8Array | null>): Promise<void> {
    const asked = new Set<number>();
    for (const value of values) {
      if (value === null || value.length < FRAME_BYTES || value[0] !== 0) continue;
      const id = schemaIdOf(value);
      if (!this.#prepared.has(id)) asked.add(id);
    }
    await Promise.all(Array.from(asked, (id) => this.#load(id)));
  }

  async #load(id: number): Promise<void> {
    if (this.#registry === null) {
      throw new SamewiseError('stream/no-registry', 'no schema registry is configured', {
        hint: 'set "schemas" to the URL of one',
      });
    }
    const schema = await this.#registry.schema(id);
    // One that is unknown now may be registered later.
    if (schema === null) return;
    let prepared: T | SamewiseError;
    try {
      prepared = await this.#prepare(schema);
    } catch (error) {
      if (!(error instanceof SamewiseError)) throw error;
      prepared = error;
    }
    this.#prepared.set(id, prepared);
  }

  /** What was prepared for a framed value. Throws what is wrong with its schema, and `stream/unknown-schema`. */
  of(value: Uint8Array): T {
    const id = schemaIdOf(value);
    const prepared = this.#prepared.get(id);
    if (prepared === undefined)
      throw new SamewiseError('stream/unknown-schema', `the schema registry has no schema ${id}`);
    if (prepared instanceof SamewiseError) throw prepared;
    return prepared;
  }
}

/** What a schema has under the name of a column. */
export interface FoundColumn {
  /** Its type in few words. */
  readonly is: string;
  readonly fits: boolean;
}

/** Holds schemas against the columns that a source needs; remembers the types of the last one that had them all. */
export class ColumnTypes {
  readonly #source: Source;
  readonly #onChange: (change: SchemaChange) => void;
  #was: ReadonlyMap<string, string> = new Map();

  constructor(source: Source, onChange: (change: SchemaChange) => void) {
    this.#source = source;
    this.#onChange = onChange;
  }

  /** Takes what a schema has, by name. Throws `stream/schema-changed`, and tells of it, if a column is not there or does not fit. */
  accept(schemaId: number, found: ReadonlyMap<string, FoundColumn>): void {
    const { columns, arrivalTime, op, name: source } = this.#source;
    const was = new Map<string, string>();
    const wrong: ColumnChange[] = [];
    for (const { name, dtype } of columns) {
      const column = found.get(name);
      if (column === undefined && (name === arrivalTime || name === op)) continue;
      if (column?.fits) was.set(name, column.is);
      else {
        wrong.push({
          column: name,
          was: this.#was.get(name) ?? printDtype(dtype),
          is: column?.is ?? null,
        });
      }
    }
    if (wrong.length === 0) {
      this.#was = was;
      return;
    }
    this.#onChange({ source, schemaId, columns: wrong });
    const said = wrong.map(({ column, was, is }) =>
      is === null ? `${column} (${was}) is gone` : `${column} was ${was} and is ${is}`,
    );
    throw new SamewiseError(
      'stream/schema-changed',
      `schema ${schemaId} no longer has what the source reads: ${said.join('; ')}`,
      {
        where: { column: wrong[0]!.column },
        hint: 'correct the writer’s schema, or declare a new version of the source; replay the dead letters then',
      },
    );
  }
}
