/**
 * Values as Feast's HTTP carries them. Its clients take the type of a value from its JSON, so a float has a point or an exponent
 * (7.0), and an int64 is bare digits; of an empty list they cannot take it, and raise, so it is null. Feast has no dates and no
 * fractions of a second: an instant or a date is whole seconds.
 */
import { formatInstant } from '../base/time.ts';
import type { Dtype } from '../types/dtype.ts';
import { type Scalar, scalarToJsonText } from '../types/scalar.ts';

const SECOND_US = 1_000_000;
const DAY_SECONDS = 86_400;

/** The JSON text of a value. */
export function toFeast(value: Scalar | null, dtype: Dtype): string {
  if (value === null) return 'null';
  switch (dtype.kind) {
    case 'float32':
    case 'float64':
      return floatText(value as number);
    case 'timestamp':
      return String(Math.floor((value as number) / SECOND_US));
    case 'date':
      return String((value as number) * DAY_SECONDS);
    case 'list': {
      const items = value as (Scalar | null)[];
      return items.length === 0
        ? 'null'
        : `[${items.map((item) => toFeast(item, dtype.of)).join()}]`;
    }
    case 'vector':
      return `[${Array.from(value as Float32Array, floatText).join()}]`;
    default:
      return scalarToJsonText(value, dtype);
  }
}

/** What `toFeast` says of a type that many values are of, without looking at the type for each. */
export function feastTexts(dtype: Dtype): (value: Scalar | null) => string {
  switch (dtype.kind) {
    case 'float32':
    case 'float64':
      return (value) => (value === null ? 'null' : floatText(value as number));
    case 'int32':
    case 'int64':
    case 'bool':
      return String;
    default:
      return (value) => toFeast(value, dtype);
  }
}

/** From 10^21 on an exponent is written, which says float as well as a point does. */
function floatText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return `${value}.0`;
  return Number.isFinite(value) ? String(value) : `"${value}"`;
}

/** What a value of a request means to `dtype`: a whole number is seconds where Feast has seconds. */
export function fromFeast(value: unknown, dtype: Dtype): unknown {
  const isSeconds = typeof value === 'number' && Number.isInteger(value);
  switch (dtype.kind) {
    case 'timestamp':
      return isSeconds && Number.isSafeInteger(value * SECOND_US)
        ? formatInstant(value * SECOND_US)
        : value;
    case 'date':
      return isSeconds ? Math.floor(value / DAY_SECONDS) : value;
    case 'list':
      return Array.isArray(value) ? value.map((item) => fromFeast(item, dtype.of)) : value;
    default:
      return value;
  }
}
