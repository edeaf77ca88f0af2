/** JSON at the door of the server: exact whole numbers, and what is wrong as a coded error. */
import { isUtf8 } from 'node:buffer';
import { SamewiseError } from '../base/errors.ts';
import { parseExactJson as parse } from '../base/exact_json.ts';

/** Nothing that is read here is nested so deeply; what is far deeper would exhaust the stack. */
const MAX_DEPTH = 64;

/** Parses JSON; a whole number that is not a safe integer comes as a bigint. Throws `serving/malformed-json`. */
export function parseExactJson(text: string): unknown {
  if (isDeep(text)) {
    throw new SamewiseError(
      'serving/malformed-json',
      `the text is nested more than ${MAX_DEPTH} deep`,
    );
  }
  try {
    return parse(text);
  } catch (error) {
    throw new SamewiseError(
      'serving/malformed-json',
      `the text is not JSON: ${(error as Error).message}`,
    );
  }
}

/** The same for a request body. Throws `serving/malformed-json` also for bytes that are not UTF-8. */
export function parseBody(bytes: Buffer): unknown {
  if (bytes.length === 0) throw new SamewiseError('serving/malformed-json', 'the body is empty');
  if (!isUtf8(bytes))
    throw new SamewiseError('serving/malformed-json', 'the body is not valid UTF-8');
  return parseExactJson(bytes.toString('utf8'));
}

/** The object that a body is; null where it is none. */
export function objectIn(bytes: Buffer): object | null {
  try {
    const body = parseBody(bytes);
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? body : null;
  } catch {
    return null;
  }
}

/** Whether arrays and objects of the text are nested deeper than is read. What is no JSON may be found to be either. */
function isDeep(text: string): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === QUOTE) {
      i = endOfString(text, i);
    } else if (unit === OPEN_ARRAY || unit === OPEN_OBJECT) {
      if (++depth > MAX_DEPTH) return true;
    } else if (unit === CLOSE_ARRAY || unit === CLOSE_OBJECT) depth--;
  }
  return false;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Where the string that begins at `start` has its other quote; the text's end, if it has none. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text.charCodeAt(i) !== QUOTE)
    i += text.charCodeAt(i) === BACKSLASH ? 2 : 1;
  return i;
}
