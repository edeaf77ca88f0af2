/** What a push appends to the log is each row's own bytes, whatever its neighbours are made of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { push } from '../../src/app/push.ts';
import type { Streaming } from '../../src/app/streaming.ts';
import { manualClock } from '../../src/base/clock.ts';
import { definitionOf, source, string, timestamp } from '../../src/dsl/index.ts';
import type { NewRecord } from '../../src/stream/contract.ts';

const definition = definitionOf(
  source({
    name: 'visits',
    columns: { id: string, at: timestamp, city: string },
    eventTime: 'at',
    eventId: 'id',
  }),
);

async function appended(rows: readonly (readonly [id: string, city: string])[]) {
  const records: NewRecord[] = [];
  const app = {
    registry: { load: async () => [{ kind: 'source', state: 'current', definition }] },
    log: {
      append: async (_: string, some: NewRecord[]) => {
        records.push(...some);
        return [];
      },
    },
    clock: manualClock(1),
  } as unknown as Streaming;
  const values = rows.map(([id, city]) => ({ id, city, at: '2024-01-01' }));
  await push(app, { source: 'visits', rows: values, wait: 'durable' }, async () => {});
  const text = (bytes: Uint8Array | null) => new TextDecoder().decode(bytes!);
  return records.map(({ key, value }) => [JSON.parse(text(key)), JSON.parse(text(value)).city]);
}

for (const [what, rows] of [
  [
    'ASCII',
    [
      ['a', 'Rome'],
      ['bcd', ''],
      ['', 'Oslo'],
    ],
  ],
  [
    'longer characters',
    [
      ['a', 'Zürich'],
      ['é', 'Oslo'],
      ['b', '東京 😀'],
      ['c', ''],
    ],
  ],
] as const)
  test(`${what} in rows and ids`, async () => {
    assert.deepEqual(await appended(rows), rows);
  });
