/** Pythons with the packages that tests need, by scripts/python. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const SCRIPT = join(import.meta.dirname, '../../scripts/python');

/** What the script exits with where something is not here and cannot be fetched. */
const UNAVAILABLE = 69;

/**
 * The interpreter that has the packages of `python/requirements/{set}.txt`, or why a test has to be skipped. With
 * SAMEWISE_SKIP_NONE (.ci/run sets it) what is missing is a failure.
 */
export async function python(set: string): Promise<{ skip: string | false; path: string }> {
  try {
    const { stdout } = await promisify(execFile)(SCRIPT, [set]);
    return { skip: false, path: stdout.trim() };
  } catch (error) {
    const { stderr, code } = error as { stderr?: string; code?: unknown };
    const why = stderr?.trim() || String(error);
    if (process.env.SAMEWISE_SKIP_NONE || code !== UNAVAILABLE) throw new Error(why);
    return { skip: `skipped: ${why}`, path: '' };
  }
}
