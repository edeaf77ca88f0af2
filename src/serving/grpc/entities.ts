/** The entities of a request: from columns of a message to rows in the order and types of a program's inputs. */
import { SamewiseError } from '../../base/errors.ts';
import type { Dtype } from '../../types/dtype.ts';
import { coerce, type Scalar } from '../../types/scalar.ts';
import { missingField, unknownField } from '../request_fields.ts';
import type { ServiceProgram } from '../service_program.ts';
import type { RequestRow } from '../vector.ts';
import { type Column, Kind } from './gen/samewise/v1/values_pb.ts';

/**
 * Rows from columns. Throws `serving/missing-field`, `serving/unknown-field`, `serving/bad-field` (columns of different
 * lengths, no entity, a column twice, more than one list of values) and what `coerce` throws, each with the field.
 */
export function rowsOf(program: ServiceProgram, columns: readonly Column[]): RequestRow[] {
  const { inputs } = program;
  const byName = new Map<string, Column>();
  for (const column of columns) {
    if (byName.has(column.name)) throw bad(column.name, 'is given twice');
    byName.set(column.name, column);
  }
  const given = inputs.map(({ name, dtype }) => {
    const column = byName.get(name);
    if (column === undefined) throw missingField(program, name, placeOf(name));
    return valuesOf(column, dtype, (row) => `entities[${row}].${name}`);
  });
  if (byName.size > inputs.length) {
    const known = inputs.map(({ name }) => name);
    const name = [...byName.keys()].find((candidate) => !known.includes(candidate))!;
    throw unknownField(program, name, placeOf(name));
  }
  const rows = given[0]!.length;
  if (rows === 0) throw new SamewiseError('serving/bad-field', 'no entities are given', NO_ENTITY);
  given.forEach((values, i) => {
    if (values.length !== rows)
      throw bad(inputs[i]!.name, `has ${values.length} values, but ${inputs[0]!.name} has ${rows}`);
  });
  return Array.from({ length: rows }, (_, row) => given.map((values) => values[row]!));
}

const NO_ENTITY = { where: { field: 'entities' }, hint: 'give one value in each column at least' };

function placeOf(name: string): string {
  return `entities.${name}`;
}

function bad(name: string, what: string): SamewiseError {
  return new SamewiseError('serving/bad-field', `the column ${JSON.stringify(name)} ${what}`, {
    where: { field: placeOf(name) },
  });
}

/** The values of a column, coerced one by one: an int64 may be asked for with a text of digits, as in JSON. */
function valuesOf(
  column: Column,
  dtype: Dtype,
  fieldOf: (row: number) => string,
): (Scalar | null)[] {
  const { nulls } = column;
  const raw = rawValues(column, dtype);
  return raw.map((value, row) => {
    if ((nulls[row >> 3]! >> (row & 7)) & 1) return null;
    return coerce(value, dtype, { field: fieldOf(row) });
  });
}

type Raw = readonly unknown[];

/** What stands in a column, nulls included, from the list that its kind says or, where it says none, from the filled one. */
function rawValues(column: Column, dtype: Dtype): Raw {
  const lists: readonly (readonly [keyof Column & string, readonly Kind[]])[] = LISTS;
  const filled = lists.filter(([name]) => (column[name] as Raw).length > 0);
  const wrong = filled.find(
    ([, kinds]) => column.kind !== Kind.UNSPECIFIED && !kinds.includes(column.kind),
  );
  if (filled.length > 1 || wrong !== undefined) {
    throw new SamewiseError(
      'serving/bad-field',
      `the column ${JSON.stringify(column.name)} has values in ${filled.map(([name]) => name).join(' and ')}`,
      {
        where: { field: placeOf(column.name) },
        hint: 'fill one list, that of the column’s kind',
      },
    );
  }
  const name = filled[0]?.[0];
  if (name === undefined) return [];
  if (name === 'lengths') return listsOf(column, dtype);
  if (name === 'floats' && dtype.kind === 'vector')
    return vectorsOf(column, column.size || dtype.size);
  return column[name] as Raw;
}

const LISTS = [
  ['bools', [Kind.BOOL]],
  ['ints', [Kind.INT32, Kind.DATE]],
  ['longs', [Kind.INT64, Kind.TIMESTAMP]],
  ['floats', [Kind.FLOAT32, Kind.VECTOR]],
  ['doubles', [Kind.FLOAT64]],
  ['strings', [Kind.STRING]],
  ['blobs', [Kind.BYTES]],
  ['lengths', [Kind.LIST]],
] as const satisfies readonly (readonly [keyof Column, readonly Kind[]])[];

function listsOf({ lengths, items, name }: Column, dtype: Dtype): Raw {
  const values =
    items === undefined || dtype.kind !== 'list'
      ? []
      : valuesOf(items, dtype.of, (row) => `${placeOf(name)}.items[${row}]`);
  let end = 0;
  for (const length of lengths) end += length;
  if (end !== values.length && dtype.kind === 'list')
    throw bad(name, `has ${values.length} items, but its lengths make ${end}`);
  let at = 0;
  return lengths.map((length) => values.slice(at, (at += length)));
}

function vectorsOf({ floats, name }: Column, size: number): Raw {
  if (floats.length % size !== 0)
    throw bad(name, `has ${floats.length} floats, which are no vectors of ${size}`);
  return Array.from({ length: floats.length / size }, (_, row) =>
    floats.slice(row * size, (row + 1) * size),
  );
}
