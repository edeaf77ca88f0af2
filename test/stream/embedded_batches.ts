/** Batches that tell by themselves whether all of them was stored; child processes append them. */
import assert from 'node:assert/strict';
import type { LogRecord, NewRecord } from '../../src/stream/contract.ts';
import { record, textOf } from '../conformance/event_log_fixture.ts';

/** From one record to a thousand, small and large. */
export function batchOf(name: string, batch: number): NewRecord[] {
  const count = [1, 20, 300, 3, 1_000][batch % 5]!;
  const padding = '.'.repeat([0, 200, 20, 5_000, 300][batch % 5]!);
  return Array.from({ length: count }, (_, i) =>
    record(`${i}`, `${name} ${batch} ${i} ${count} ${padding}`),
  );
}

/** Checks that batches of `name` are there whole, in order and once, and gives their numbers, which grow by one. */
export function batchesIn(read: ReadonlyMap<string, readonly LogRecord[]>, name: string): number {
  const left = new Map<number, Set<string>>();
  for (const records of read.values()) {
    let lastBatch = -1;
    let lastIndex = -1;
    for (const one of records) {
      const text = textOf(one)!;
      const [by, batchText, indexText] = text.split(' ', 3);
      if (by !== name) continue;
      const batch = Number(batchText);
      const index = Number(indexText);
      const grows = batch > lastBatch || (batch === lastBatch && index > lastIndex);
      assert.ok(grows, `${batch}/${index} comes after ${lastBatch}/${lastIndex}`);
      [lastBatch, lastIndex] = [batch, index];
      if (!left.has(batch)) left.set(batch, new Set(batchOf(name, batch).map((r) => textOf(r)!)));
      assert.ok(left.get(batch)!.delete(text), `${batch}/${index} is there once, as it was`);
    }
  }
  for (let batch = 0; batch < left.size; batch++)
    assert.equal(left.get(batch)?.size, 0, `batch ${batch} is whole`);
  return left.size;
}
