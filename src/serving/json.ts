/** JSON at the door of the server: exact whole numbers, and what is wrong as a coded error. */
import { isUtf8 } from 'node:buffer';
import { SamewiseError } from '../base/errors.ts';
import { parseExactJson as parse } from '../base/exact_json.ts';

/** Parses JSON; a whole number that is not a safe integer comes as a bigint. Throws `serving/malformed-json`. */
export function parseExactJson(text: string): unknown {
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
