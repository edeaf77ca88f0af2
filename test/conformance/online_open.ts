/** Opens the store that a test names by URL; child processes use it too. */
import { parseOnlinePlace } from '../../src/app/online_place.ts';
import { systemClock } from '../../src/base/clock.ts';
import { assert } from '../../src/base/errors.ts';
import type { OnlineStore } from '../../src/online/contract.ts';
import { openLmdbStore } from '../../src/online/lmdb.ts';
import { openRedisStore } from '../../src/online/redis.ts';

export function openOnline(url: string): Promise<OnlineStore> {
  const place = parseOnlinePlace('/', url);
  assert(place !== null, `a test can open ${url}`);
  return place.kind === 'lmdb'
    ? openLmdbStore(place.path)
    : openRedisStore({ place, password: null, clock: systemClock });
}
