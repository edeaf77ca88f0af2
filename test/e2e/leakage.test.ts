/** No leakage: an event can change only the training rows after it. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseInstant } from '../../src/base/time.ts';
import { copyOf, json, scaffolded, sql, temporary } from './support.ts';

const { folder, remove } = temporary();
after(remove);

/** The training set, each row as text under its place and time. */
async function train(project: string): Promise<{ us: number; text: string }[]> {
  const out = join(project, 't.parquet');
  await json(
    project,
    'train',
    '--service',
    'fraud_v1',
    '--labels',
    'labels.csv',
    '--time',
    'at',
    '--out',
    't.parquet',
  );
  const rows = await sql(`SELECT epoch_us("at") AS us, t::VARCHAR AS text FROM '${out}' t`);
  return rows.map(({ us, text }) => ({ us: Number(us), text: String(text) }));
}

test('shifting, changing, adding or dropping later events changes no earlier row', async () => {
  const project = await scaffolded(folder, false);
  await json(project, 'apply', '--yes');
  const before = await train(project);
  const file = 'data/transactions.csv';
  const [header, ...lines] = readFileSync(join(project, file), 'utf8').trimEnd().split('\n');
  // Also on a label's very time: that is not before it.
  for (const [i, cutUs] of [parseInstant('2024-03-15'), before[20]!.us].entries()) {
    const other = copyOf(project, `other${i}`);
    const changed = lines.flatMap((line, n) => {
      const [id, at, customer, amount] = line.split(',');
      if (parseInstant(at!) < cutUs) return [line];
      switch (n % 4) {
        case 0:
          return [];
        case 1:
          return [
            `${id},${new Date(cutUs / 1000).toISOString()},${customer},${Number(amount) + 1000}`,
          ];
        case 2:
          return [line, `${90_000 + n},${at},${customer},1e6`];
        default:
          return [`${id},2024-05-01T00:00:00Z,${customer},${amount}`];
      }
    });
    writeFileSync(join(other, file), `${[header, ...changed].join('\n')}\n`);
    const now = await train(other);
    const earlier = before.filter(({ us }) => us <= cutUs);
    assert.ok(earlier.length > 5 && earlier.length < before.length);
    before.forEach((row, r) => {
      if (row.us <= cutUs) assert.equal(now[r]!.text, row.text, `row ${r}`);
    });
    assert.ok(
      before.some((row, r) => now[r]!.text !== row.text),
      'later rows do change',
    );
  }
});
