/** The shared data folder beside the checkout: real data that tests read there and never copy. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const SHARED = join(import.meta.dirname, '../../../shared/data');

/** Path of a shared data file, or a reason to skip in words. Use as `test(name, { skip: shared.skip }, …)`. */
export function sharedData(file: string): { path: string; skip: string | false } {
  const path = join(SHARED, file);
  return {
    path,
    skip: existsSync(path)
      ? false
      : `skipped: the shared data file ${file} is not beside this checkout`,
  };
}
