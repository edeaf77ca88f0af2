/** Bytes that are predicted for Redis, against what a real one says that it takes. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { sampleView } from '../../src/capacity/sample.ts';
import { redisBytes } from '../../src/capacity/stores.ts';
import { compileView } from '../../src/model/index.ts';
import { int64 } from '../../src/types/dtype.ts';
import { encodeKey } from '../../src/types/key.ts';
import { definitions } from '../app/support.ts';
import { openOnline } from '../conformance/online_open.ts';
import { servers } from '../stream/servers.ts';

const { skip, at } = await servers('redis');

for (const perKey of [3, 40, 900])
  test(`memory of pages with ${perKey} events is as predicted`, { skip }, async () => {
    const namespace = randomUUID().slice(0, 2);
    const online = await openOnline(`redis://${at[0]}?namespace=${namespace}`);
    const redis = new Redis(`redis://${at[0]}`);
    const program = compileView(definitions(), 'spending');
    const source = { perSecond: perKey / 864, rows: null, streamed: true, columns: {} };
    const { keyBytes, sampled } = sampleView(program, { count: 100, skew: 0 }, source, 86_400e6);
    await online.compareAndSet(
      sampled.map(({ headBytes, blockBytes }, i) => ({
        view: program.id,
        key: encodeKey([BigInt(i)], [int64]),
        expect: 0,
        head: new Uint8Array(headBytes).fill(7),
        putBlocks: new Map(blockBytes.map((bytes, n) => [n + 1, new Uint8Array(bytes).fill(7)])),
        dropBlocks: [],
      })),
    );
    let real = 0;
    for (const name of await redis.keys(`${namespace}*`))
      if (!name.includes('#') && !name.includes('/'))
        // What it says of a key leaves out the table of all keys: an entry's bucket.
        real += Number(await redis.call('MEMORY', 'USAGE', name, 'SAMPLES', '0')) + 12;
    const predicted = sampled.reduce((sum, key) => sum + redisBytes(keyBytes, key), 0);
    await online.dropView(program.id);
    await online.close();
    await redis.quit();
    const ratio = predicted / real;
    assert.ok(ratio > 1 / 1.2 && ratio < 1.2, `predicted ${predicted}, there are ${real}`);
    if (process.env.CAPACITY_RATIOS)
      process.stdout.write(`${perKey}: ${ratio.toFixed(3)} of ${real}\n`);
  });
