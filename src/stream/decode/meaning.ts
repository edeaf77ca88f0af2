/**
 * What a number or text of a typed format means beyond its bare type: logical types of Avro, and the names that Kafka Connect
 * and Debezium give theirs.
 */
import { SamewiseError } from '../../base/errors.ts';
import type { Dtype } from '../../types/dtype.ts';
import { bigEndian, dayFor, decimalFor, instantFor, type PerSecond } from './typed_values.ts';

export type Meaning =
  | { readonly kind: 'instant'; readonly perSecond: PerSecond }
  | { readonly kind: 'day' }
  | { readonly kind: 'decimal'; readonly scale: number }
  /** A number with its own scale: `{ scale, value }`. */
  | { readonly kind: 'scaled' };

const INSTANTS: Readonly<Record<string, PerSecond>> = {
  'timestamp-millis': 1_000,
  'timestamp-micros': 1_000_000,
  'timestamp-nanos': 1_000_000_000,
  'local-timestamp-millis': 1_000,
  'local-timestamp-micros': 1_000_000,
  'local-timestamp-nanos': 1_000_000_000,
  'org.apache.kafka.connect.data.Timestamp': 1_000,
  'io.debezium.time.Timestamp': 1_000,
  'io.debezium.time.MicroTimestamp': 1_000_000,
  'io.debezium.time.NanoTimestamp': 1_000_000_000,
};

const DAYS = ['date', 'org.apache.kafka.connect.data.Date', 'io.debezium.time.Date'];

/** The meaning that a name gives; null: none that changes a value. `scale` is that of a decimal. */
export function meaningOf(name: unknown, scale: unknown): Meaning | null {
  if (typeof name !== 'string') return null;
  if (Object.hasOwn(INSTANTS, name)) return { kind: 'instant', perSecond: INSTANTS[name]! };
  if (DAYS.includes(name)) return { kind: 'day' };
  if (name === 'decimal' || name === 'org.apache.kafka.connect.data.Decimal')
    return { kind: 'decimal', scale: wholeScale(scale ?? 0) };
  if (name === 'io.debezium.data.VariableScaleDecimal') return { kind: 'scaled' };
  return null;
}

/** Digits that a number may have behind its point, or zeros before it: no text of them is made longer than this. */
const MAX_SCALE = 10_000;

function wholeScale(scale: unknown): number {
  const n = Number(scale);
  if (Number.isInteger(n) && Math.abs(n) <= MAX_SCALE) return n;
  throw new SamewiseError('stream/bad-schema', `${String(scale)} is no scale of a decimal`);
}

/** Whether values of the meaning are values of `dtype`, by the rules for files: nothing is lost, nothing guessed. */
export function meaningFits(meaning: Meaning, dtype: Dtype): boolean {
  switch (meaning.kind) {
    case 'instant':
      return ['timestamp', 'date', 'int64'].includes(dtype.kind);
    case 'day':
      return ['timestamp', 'date', 'int32', 'int64'].includes(dtype.kind);
    case 'decimal':
    case 'scaled':
      return ['string', 'float64', 'int32', 'int64'].includes(dtype.kind);
  }
}

/**
 * A value of a meaning as `coerce` reads it into `dtype`: counts as numbers or bigints, decimals as bytes (highest first), as base64, or
 * as the text that they may come as. Anything else is left to `coerce` to refuse.
 */
export function meantFor(dtype: Dtype, meaning: Meaning, value: unknown): unknown {
  switch (meaning.kind) {
    case 'instant':
      return isCount(value) ? instantFor(dtype, value, meaning.perSecond) : value;
    case 'day':
      return isCount(value) ? dayFor(dtype, Number(value)) : value;
    case 'decimal': {
      const digits = bytesOf(value);
      return digits === null ? value : decimalFor(dtype, bigEndian(digits), meaning.scale);
    }
    case 'scaled': {
      const { scale, value: inner } = (value ?? {}) as { scale?: unknown; value?: unknown };
      const digits = bytesOf(inner);
      if (digits === null || scale === undefined) return value;
      return decimalFor(dtype, bigEndian(digits), wholeScale(scale));
    }
  }
}

function isCount(value: unknown): value is number | bigint {
  return Number.isSafeInteger(value) || typeof value === 'bigint';
}

function bytesOf(value: unknown): Uint8Array | null {
  if (value instanceof Uint8Array) return value;
  if (typeof value !== 'string') return null;
  try {
    return Uint8Array.fromBase64(value);
  } catch {
    return null;
  }
}
