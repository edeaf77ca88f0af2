/** JSON in which whole numbers keep all their digits. Everything else is the platform's own `JSON.parse`. */

const WHOLE = /^-?\d+$/;
/** A whole number of fewer digits is exact as a float64, and so are those of as many up to the greatest safe one. */
const LONG = 16;
const GREATEST_SAFE = String(Number.MAX_SAFE_INTEGER);

/** What TypeScript knows of a reviver; the platform hands it the source text as well. */
type Reviver = Parameters<typeof JSON.parse>[1];

/** Parses JSON; a whole number that is not a safe integer comes as a bigint. Throws what `JSON.parse` throws. */
export function parseExactJson(text: string): unknown {
  return mayRound(text) ? JSON.parse(text, exactWholeNumbers as Reviver) : JSON.parse(text);
}

/** Whether the text has a run of digits that, as a whole number, a float64 might round. Looks at every 16th character only. */
function mayRound(text: string): boolean {
  for (let i = LONG - 1; i < text.length; i += LONG) {
    if (!isDigit(text, i)) continue;
    let first = i;
    while (first > 0 && isDigit(text, first - 1)) first--;
    let end = i + 1;
    while (end < text.length && isDigit(text, end)) end++;
    const long =
      end - first > LONG || (end - first === LONG && text.slice(first, end) > GREATEST_SAFE);
    // Digits after a point are a fraction's: many floats are written with 17 of them.
    if (long && text[first - 1] !== '.') return true;
    i = end - 1;
  }
  return false;
}

function isDigit(text: string, i: number): boolean {
  const unit = text.charCodeAt(i);
  return unit >= 48 && unit <= 57;
}

function exactWholeNumbers(_key: string, value: unknown, context: { source?: string }): unknown {
  // What is beyond float64 is beyond every type, and its digits are not worth the time that many of them take.
  if (typeof value !== 'number' || Number.isSafeInteger(value) || !Number.isFinite(value))
    return value;
  return WHOLE.test(context.source!) ? BigInt(context.source!) : value;
}
