/** Entity keys as they come in a URL: one text for each key column, or one JSON array of them all. */
import { SamewiseError, type Where } from '../base/errors.ts';
import type { Entity } from '../model/definitions.ts';
import type { Dtype } from '../types/dtype.ts';
import { scalarFromJson } from '../types/json.ts';
import { coerce, type Scalar, scalarToJsonText } from '../types/scalar.ts';
import { parseExactJson } from './json.ts';

/**
 * The key of an entity from the values of `id`: repeated in key order, or, for a key of several columns, one JSON array.
 * Throws `serving/bad-key` (count or null) or what `coerce` throws, each with field `id`.
 */
export function keyFromQuery(entity: Entity, id: string | readonly string[]): Scalar[] {
  const columns = entity.key;
  const where: Where = { field: 'id', entity: entity.name };
  if (typeof id === 'string' && columns.length === 1)
    return [scalarFromText(id, columns[0]!.dtype, where)];
  const texts = typeof id === 'string' ? [id] : id;
  if (texts.length === 1 && columns.length > 1 && texts[0]!.startsWith('[')) {
    const values = parseExactJson(texts[0]!);
    if (Array.isArray(values) && values.length === columns.length)
      return values.map((value, i) =>
        notNull(scalarFromJson(value, columns[i]!.dtype, where), where),
      );
  } else if (texts.length === columns.length) {
    return texts.map((text, i) => scalarFromText(text, columns[i]!.dtype, where));
  }
  const names = columns.map(({ name }) => name).join(', ');
  throw new SamewiseError(
    'serving/bad-key',
    `the key of ${entity.name} has ${columns.length} columns (${names}); ${texts.length} given`,
    { where, hint: `repeat id= for each of ${names} in this order, or give one JSON array` },
  );
}

/** The key as the answer repeats it: the value itself, or an array for a key of several columns. */
export function keyToJson(entity: Entity, values: readonly Scalar[]): string {
  const texts = values.map((value, i) => scalarToJsonText(value, entity.key[i]!.dtype));
  return texts.length === 1 ? texts[0]! : `[${texts.join(',')}]`;
}

/** A key part from plain text. */
export function scalarFromText(text: string, dtype: Dtype, where: Where): Scalar {
  switch (dtype.kind) {
    case 'int32':
    case 'date':
      return coerce(/^-?\d{1,15}$/.test(text) ? Number(text) : text, dtype, where)!;
    case 'timestamp':
      return coerce(/^-?\d{1,16}$/.test(text) ? Number(text) : text, dtype, where)!;
    case 'bool':
      return coerce(text === 'true' ? true : text === 'false' ? false : text, dtype, where)!;
    default:
      return coerce(text, dtype, where)!;
  }
}

function notNull(value: Scalar | null, where: Where): Scalar {
  if (value === null)
    throw new SamewiseError('serving/bad-key', 'a part of the key is null', { where });
  return value;
}
