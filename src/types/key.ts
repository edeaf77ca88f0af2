/**
 * Entity keys as bytes: no two keys share an encoding ((1,23) is never (12,3), "1" never 1), and equal
 * keys of one entity always have the same bytes on every machine. Keys are opaque to the stores.
 *
 * Each part: a tag byte, then 8 bytes big-endian (whole numbers, instants, dates, bool) or a 4-byte length and the bytes.
 */
import { SamewiseError } from '../base/errors.ts';
import { type Dtype, isKeyable, printDtype } from './dtype.ts';
import { type Scalar, scalarToJsonText } from './scalar.ts';

/** Longest encoded key, in bytes; leaves room for a store's own prefix below LMDB's limit of 1,978. */
export const MAX_KEY_BYTES = 1024;

const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { ignoreBOM: true });

const TAG: Partial<Record<Dtype['kind'], number>> = {
  bool: 1,
  int32: 2,
  int64: 2,
  date: 3,
  timestamp: 4,
  string: 5,
  bytes: 6,
};

/** Where keys are put together. */
const scratch = new Uint8Array(MAX_KEY_BYTES);
const scratchView = new DataView(scratch.buffer);

/** Encodes the key's parts in the entity's order. Throws `types/bad-key` for a null part or one that is too long. */
export function encodeKey(
  values: readonly (Scalar | null)[],
  dtypes: readonly Dtype[],
): Uint8Array {
  let length = 0;
  for (let i = 0; i < dtypes.length; i++) {
    const value = values[i];
    const dtype = dtypes[i]!;
    if (value === null || value === undefined)
      throw new SamewiseError('types/bad-key', 'an entity key cannot be null');
    if (!isKeyable(dtype))
      throw new SamewiseError('types/bad-key', `${printDtype(dtype)} cannot be an entity key`);
    if (dtype.kind === 'string' && !(value as string).isWellFormed())
      throw new SamewiseError('types/bad-key', 'an entity key must be well-formed Unicode');
    const payload =
      dtype.kind === 'string'
        ? utf8.encode(value as string)
        : dtype.kind === 'bytes'
          ? (value as Uint8Array)
          : null;
    const from = length;
    length += payload === null ? 9 : 5 + payload.length;
    if (length > MAX_KEY_BYTES) continue;
    scratch[from] = TAG[dtype.kind]!;
    if (payload === null)
      scratchView.setBigInt64(from + 1, BigInt(value as number | bigint | boolean));
    else {
      scratchView.setUint32(from + 1, payload.length);
      scratch.set(payload, from + 5);
    }
  }
  if (length > MAX_KEY_BYTES) {
    throw new SamewiseError(
      'types/bad-key',
      `the entity key takes ${length} bytes; at most ${MAX_KEY_BYTES} are allowed`,
    );
  }
  return scratch.slice(0, length);
}

/** The inverse of `encodeKey`. */
export function decodeKey(key: Uint8Array, dtypes: readonly Dtype[]): Scalar[] {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const out: Scalar[] = [];
  let offset = 0;
  for (const dtype of dtypes) {
    offset += 1;
    if (dtype.kind === 'string' || dtype.kind === 'bytes') {
      const length = view.getUint32(offset);
      const payload = key.slice(offset + 4, offset + 4 + length);
      out.push(dtype.kind === 'string' ? text.decode(payload) : payload);
      offset += 4 + length;
    } else {
      const n = view.getBigInt64(offset);
      out.push(dtype.kind === 'int64' ? n : dtype.kind === 'bool' ? n === 1n : Number(n));
      offset += 8;
    }
  }
  return out;
}

/** `customer_id=7,terminal="a"`, for messages and tables. */
export function printKey(
  names: readonly string[],
  values: readonly (Scalar | null)[],
  dtypes: readonly Dtype[],
): string {
  return names
    .map((name, i) => `${name}=${scalarToJsonText(values[i] ?? null, dtypes[i]!)}`)
    .join(',');
}
