/** Values of rows as Debezium writes them in JSON. Where the schema is with them, it says what a number means; without it little is sure, and nothing is guessed. */
import { SamewiseError } from '../../base/errors.ts';
import { isNumeric } from '../../types/dtype.ts';
import { compareBytes } from '../../types/scalar.ts';
import { columnValue, type JsonColumn, type JsonObject } from './json_values.ts';
import { type Meaning, meaningOf, meantFor } from './meaning.ts';
import { numberOfText } from './typed_values.ts';

/** What the fields of a row mean, by name; null: no more than their bare types. */
export type Meanings = ReadonlyMap<string, Meaning | null>;

/** Stands for a large value that an update did not touch, and that the database therefore did not log. */
const UNAVAILABLE = '__debezium_unavailable_value';
const UNAVAILABLE_BYTES = new TextEncoder().encode(UNAVAILABLE);
const UNAVAILABLE_BASE64 = UNAVAILABLE_BYTES.toBase64();
/** Until 1973-03-03 in microseconds, and beyond 5138 in milliseconds: what looks like the first is more likely the second. */
const LEAST_SURE_US = 1e14;

/** The meanings that a schema's fields give. */
export function meaningsOf(fields: unknown): Meanings {
  const meanings = new Map<string, Meaning | null>();
  for (const field of Array.isArray(fields) ? (fields as (JsonObject | null)[]) : []) {
    if (typeof field?.field !== 'string') continue;
    const parameters = field.parameters as JsonObject | null | undefined;
    meanings.set(field.field, meaningOf(field.name, parameters?.scale));
  }
  return meanings;
}

/** Throws `stream/unavailable-value` for the word that stands for a value that is not there. */
export function checkAvailable(value: unknown, column: string): void {
  const unavailable =
    typeof value === 'string'
      ? value === UNAVAILABLE || value === UNAVAILABLE_BASE64
      : Array.isArray(value)
        ? value[0] === UNAVAILABLE
        : value instanceof Uint8Array && compareBytes(value, UNAVAILABLE_BYTES) === 0;
  if (unavailable) {
    throw new SamewiseError(
      'stream/unavailable-value',
      'the change does not hold the value, since the update did not touch it',
      { where: { column }, hint: 'set REPLICA IDENTITY FULL on the table' },
    );
  }
}

/** A value of a changed row as `coerce` reads it; `meanings` null: there is no schema. */
export function changedValue(
  column: JsonColumn,
  given: unknown,
  meanings: Meanings | null,
  exact: boolean,
): unknown {
  const { name, dtype } = column;
  checkAvailable(given, name);
  const value = columnValue(column, given, exact);
  const meaning = meanings?.get(name) ?? null;
  if (meaning !== null) {
    try {
      return meantFor(dtype, meaning, value);
    } catch (error) {
      throw error instanceof SamewiseError ? error.at({ column: name }) : error;
    }
  }
  if (typeof value === 'string') return isNumeric(dtype) ? numberOfText(dtype, value) : value;
  if (dtype.kind === 'timestamp' && (typeof value === 'number' || typeof value === 'bigint')) {
    const sure =
      meanings === null && (Math.abs(Number(value)) >= LEAST_SURE_US || Number(value) === 0);
    if (!sure) {
      throw new SamewiseError(
        'stream/ambiguous-time',
        meanings === null
          ? `without a schema ${value} may be milliseconds or microseconds`
          : `${value} is a bare number, not an instant`,
        { where: { column: name }, hint: 'let the connector write schemas' },
      );
    }
  }
  // A number with its own scale is known by its shape.
  if (typeof value === 'object' && value !== null && 'scale' in value)
    return meantFor(dtype, { kind: 'scaled' }, value);
  return value;
}
