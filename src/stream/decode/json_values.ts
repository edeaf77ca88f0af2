/** The columns of a source out of an object that JSON was parsed to. */
import { SamewiseError } from '../../base/errors.ts';
import { parseExactJson } from '../../base/exact_json.ts';
import type { Source } from '../../model/definitions.ts';
import type { Dtype } from '../../types/dtype.ts';
import { isFloatLike, jsonForCoerce } from '../../types/json.ts';
import { MAX_DEPTH } from './limits.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** What a reader makes of a parsed text; it throws `INEXACT` where a number that it needs was rounded. */
const INEXACT = Symbol('a number was rounded');

/** One column to take out of an object. */
export interface JsonColumn {
  readonly name: string;
  readonly dtype: Dtype;
  /** Numbers of any length are right as float64. */
  readonly float: boolean;
  /** The name is one that every object has. */
  readonly inherited: boolean;
}

export function jsonColumns(source: Source): JsonColumn[] {
  return source.columns.map(({ name, dtype }) => ({
    name,
    dtype,
    float: isFloatLike(dtype),
    inherited: name in Object.prototype,
  }));
}

/**
 * Parses `text` and gives what `read` makes of it. Most texts are parsed by the platform's fast parser; only where `read`
 * meets a number that this may have rounded are they parsed again, exactly. Throws `stream/bad-json`.
 */
export function readJson<T>(text: string, read: (value: unknown, exact: boolean) => T): T {
  try {
    return read(parsed(JSON.parse, text), false);
  } catch (error) {
    if (error !== INEXACT) throw error;
    return read(parsed(parseExactJson, text), true);
  }
}

/** The parsed text. Throws `stream/bad-json` and `stream/too-deep`. */
export function parsed(parse: (text: string) => unknown, text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    // What the parser calls back walks down the value by calling itself.
    if (error instanceof RangeError)
      throw new SamewiseError('stream/too-deep', 'the value is nested too deep to be read');
    throw new SamewiseError(
      'stream/bad-json',
      text === '' ? 'the value is empty' : `the value is not JSON: ${(error as Error).message}`,
    );
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value as an object. Throws `stream/not-an-object`. */
export function objectOf(value: unknown): JsonObject {
  if (isObject(value)) return value;
  throw new SamewiseError(
    'stream/not-an-object',
    `a row is a JSON object, not ${Array.isArray(value) ? 'an array' : value === null ? 'null' : `a ${typeof value}`}`,
  );
}

/**
 * The values of the columns that the object has, as `coerce` reads them; other fields are passed by. Throws
 * `stream/too-deep` and `types/out-of-range` with the column, and makes `readJson` parse again if not `exact`.
 */
export function pick(
  columns: readonly JsonColumn[],
  object: JsonObject,
  exact: boolean,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const column of columns) {
    const value = own(column, object);
    if (value !== undefined) values[column.name] = columnValue(column, value, exact);
  }
  return values;
}

/** The object's own field of a column's name. */
export function own({ name, inherited }: JsonColumn, object: JsonObject): unknown {
  return inherited && !Object.hasOwn(object, name) ? undefined : object[name];
}

/** A JSON value as `coerce` reads it; as `pick`. */
export function columnValue(column: JsonColumn, value: unknown, exact: boolean): unknown {
  if (typeof value === 'number') {
    if (column.float ? Number.isFinite(value) : Number.isSafeInteger(value)) return value;
  } else if (typeof value !== 'object' && typeof value !== 'bigint') return value;
  else if (value === null) return null;
  checkDepth(value, column.name);
  if (!exact && !column.float && mayBeRounded(value)) throw INEXACT;
  return jsonForCoerce(value, column.dtype, { column: column.name });
}

function mayBeRounded(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(mayBeRounded);
  return typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value);
}

/** Throws `stream/too-deep` before anything that calls itself walks down `value`. */
export function checkDepth(value: unknown, column: string, depth = 0): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth === MAX_DEPTH) {
    throw new SamewiseError('stream/too-deep', `the value is nested over ${MAX_DEPTH} deep`, {
      where: { column },
    });
  }
  for (const item of Object.values(value)) checkDepth(item, column, depth + 1);
}
