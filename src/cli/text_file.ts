/** Files that a command is given. */
import { readFileSync } from 'node:fs';
import { SamewiseError } from '../base/errors.ts';

/** A file's text. Throws `cli/no-such-file`. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SamewiseError('cli/no-such-file', 'it cannot be read', {
      where: { file },
      hint: 'name a file that is there',
      cause,
    });
  }
}
