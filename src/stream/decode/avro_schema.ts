/** Avro schemas as written by others: parsed, with every name resolved. See the specification, 1.12, «Schema Declaration». */
import { SamewiseError } from '../../base/errors.ts';
import { type Meaning, meaningOf } from './meaning.ts';

export type AvroPrimitive =
  | 'null'
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'bytes'
  | 'string';

/** A type; a named one may lie within itself. */
export type AvroType =
  | { readonly type: AvroPrimitive; readonly meaning: Meaning | null }
  | {
      readonly type: 'fixed';
      readonly name: string;
      readonly size: number;
      readonly meaning: Meaning | null;
    }
  | { readonly type: 'enum'; readonly name: string; readonly symbols: readonly string[] }
  | { readonly type: 'array'; readonly items: AvroType }
  | { readonly type: 'map'; readonly values: AvroType }
  | { readonly type: 'union'; readonly branches: readonly AvroType[] }
  | AvroRecord;

export interface AvroRecord {
  readonly type: 'record';
  readonly name: string;
  readonly fields: readonly { readonly name: string; readonly type: AvroType }[];
  readonly meaning: Meaning | null;
}

const PRIMITIVES: readonly string[] = [
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
];
/** A longer fixed value would not fit into a record that is read. */
const MAX_FIXED = 1024 * 1024;

/** Types by their full names. */
export type AvroNames = Map<string, AvroType>;

/** Parses a schema; `names` holds what schemas that it refers to define, and gets what it defines. Throws `stream/bad-schema`. */
export function parseAvroSchema(text: string, names: AvroNames = new Map()): AvroType {
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch {
    // The registry keeps a primitive as its bare name as well.
    schema = text.trim();
  }
  try {
    return typeOf(schema, '', names);
  } catch (error) {
    if (error instanceof RangeError) throw bad('it is nested too deep');
    throw error;
  }
}

function bad(why: string): SamewiseError {
  return new SamewiseError('stream/bad-schema', `the Avro schema cannot be used: ${why}`);
}

type Attributes = Readonly<Record<string, unknown>>;

function typeOf(schema: unknown, namespace: string, names: AvroNames): AvroType {
  if (typeof schema === 'string') {
    if (PRIMITIVES.includes(schema)) return { type: schema as AvroPrimitive, meaning: null };
    const named = names.get(fullName(schema, namespace)) ?? names.get(schema);
    if (named === undefined)
      throw bad(`it refers to ${JSON.stringify(schema)}, which it does not define`);
    return named;
  }
  if (Array.isArray(schema))
    return { type: 'union', branches: schema.map((branch) => typeOf(branch, namespace, names)) };
  if (typeof schema !== 'object' || schema === null) throw bad('a type is missing');
  const attributes = schema as Attributes;
  const meaning = meaningOf(
    attributes.logicalType ?? attributes['connect.name'],
    attributes.scale ?? (attributes['connect.parameters'] as Attributes | undefined)?.scale,
  );
  switch (attributes.type) {
    case 'array':
      return { type: 'array', items: typeOf(attributes.items, namespace, names) };
    case 'map':
      return { type: 'map', values: typeOf(attributes.values, namespace, names) };
    case 'enum': {
      const { symbols } = attributes;
      if (!Array.isArray(symbols)) throw bad('an enum has no symbols');
      return named(attributes, namespace, names, (name) => ({
        type: 'enum',
        name,
        symbols: symbols.map(String),
      }));
    }
    case 'fixed': {
      const size = attributes.size as number;
      if (!Number.isInteger(size) || size < 0 || size > MAX_FIXED)
        throw bad('a fixed type has no size');
      return named(attributes, namespace, names, (name) => ({
        type: 'fixed',
        name,
        size,
        meaning,
      }));
    }
    case 'record':
    case 'error':
      return recordOf(attributes, namespace, names, meaning);
    default:
      if (PRIMITIVES.includes(attributes.type as string))
        return { type: attributes.type as AvroPrimitive, meaning };
      return typeOf(attributes.type, namespace, names);
  }
}

function recordOf(
  attributes: Attributes,
  namespace: string,
  names: AvroNames,
  meaning: Meaning | null,
): AvroType {
  const fields: { name: string; type: AvroType }[] = [];
  const record = named(attributes, namespace, names, (name) => ({
    type: 'record',
    name,
    fields,
    meaning,
  })) as AvroRecord;
  const inner = record.name.slice(0, Math.max(0, record.name.lastIndexOf('.')));
  if (!Array.isArray(attributes.fields)) throw bad(`record ${record.name} has no fields`);
  for (const field of attributes.fields as (Attributes | null)[]) {
    if (typeof field?.name !== 'string') throw bad(`a field of ${record.name} has no name`);
    fields.push({ name: field.name, type: typeOf(field.type, inner, names) });
  }
  return record;
}

function named(
  attributes: Attributes,
  namespace: string,
  names: AvroNames,
  make: (name: string) => AvroType,
): AvroType {
  const { name, namespace: own } = attributes;
  if (typeof name !== 'string' || name === '') throw bad('a type has no name');
  const full = fullName(name, typeof own === 'string' ? own : namespace);
  const type = make(full);
  names.set(full, type);
  return type;
}

function fullName(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;
}

/** A type in few words, for people. */
export function printAvro(type: AvroType): string {
  switch (type.type) {
    case 'union':
      return type.branches.map(printAvro).join(' | ');
    case 'array':
      return `array of ${printAvro(type.items)}`;
    case 'map':
      return `map of ${printAvro(type.values)}`;
    case 'record':
    case 'enum':
      return `${type.type} ${type.name}`;
    default:
      return type.meaning === null ? type.type : `${type.type} (${printMeaning(type.meaning)})`;
  }
}

function printMeaning(meaning: Meaning): string {
  return meaning.kind === 'instant' ? `instant, ${meaning.perSecond} a second` : meaning.kind;
}
