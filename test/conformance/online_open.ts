/** Opens the online store that a test names by URL; child processes use it too. */
import { assert } from '../../src/base/errors.ts';
import type { OnlineStore } from '../../src/online/contract.ts';
import { openLmdbStore } from '../../src/online/lmdb.ts';

export function openOnline(url: string): Promise<OnlineStore> {
  assert(url.startsWith('lmdb:'), `a test can open ${url}`);
  return openLmdbStore(url.slice('lmdb:'.length));
}
