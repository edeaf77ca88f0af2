/**
 * A second process at an online store. Roles:
 * `race <url> <me> <keys>`: tries to make every key, then adds 1 to each of four counters 25 times; prints the keys it won.
 * `rewrite <url> <keys>`: writes generation after generation of every key until it is killed; prints each that resolved.
 * `fill <url>`: writes until the store refuses; prints the error's code and how many keys resolved.
 */
import { SamewiseError } from '../../src/base/errors.ts';
import { put, TEST_VIEW, testKey } from './online_fixture.ts';
import { openOnline } from './online_open.ts';

const [role, url, ...rest] = process.argv.slice(2);
const store = await openOnline(url!);

if (role === 'race') {
  const [me, keys] = rest.map(Number) as [number, number];
  const won: number[] = [];
  for (let i = 0; i < keys; i++)
    if ((await store.compareAndSet([put(testKey(i), 0, Uint8Array.of(me))]))[0]) won.push(i);
  for (let i = 0; i < 100; i++) {
    const key = testKey(1_000_000 + (i % 4));
    for (;;) {
      const [head] = await store.heads([{ view: TEST_VIEW, key }]);
      const next = Uint8Array.of((head?.bytes[0] ?? 0) + 1);
      if ((await store.compareAndSet([put(key, head?.version ?? 0, next)]))[0]) break;
    }
  }
  process.stdout.write(JSON.stringify(won));
} else if (role === 'rewrite') {
  const keys = Array.from({ length: Number(rest[0]) }, (_, i) => testKey(i));
  const heads = await store.heads(keys.map((key) => ({ view: TEST_VIEW, key })));
  // Where the last one was killed, some keys may have come further than others.
  let stored = heads.map((head) => head?.bytes[0] ?? 0);
  let generation = Math.max(...stored) + 1;
  let versions = heads.map((head) => head?.version ?? 0);
  for (; generation < 250; generation++) {
    const page = new Uint8Array(2_000).fill(generation);
    await store.compareAndSet(
      keys.map((key, i) => ({
        ...put(key, versions[i]!, page),
        putBlocks: new Map([[generation, page]]),
        dropBlocks: [stored[i]!],
      })),
    );
    process.stdout.write(`${generation}\n`);
    stored = keys.map(() => generation);
    versions = (await store.heads(keys.map((key) => ({ view: TEST_VIEW, key })))).map(
      (head) => head!.version,
    );
  }
} else {
  let resolved = 0;
  try {
    for (; resolved < 100_000; resolved += 50) {
      await store.compareAndSet(
        Array.from({ length: 50 }, (_, i) =>
          put(testKey(resolved + i), 0, new Uint8Array(1_000).fill(1)),
        ),
      );
    }
  } catch (error) {
    const code = error instanceof SamewiseError ? error.code : String(error);
    process.stdout.write(JSON.stringify({ code, resolved }));
  }
}
await store.close();
