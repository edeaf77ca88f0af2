import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { labelsAt } from '../../src/serving/paths.ts';

const base = realpathSync(mkdtempSync(join(tmpdir(), 'samewise-paths-')));
after(() => rmSync(base, { recursive: true }));
const root = join(base, 'data');
mkdirSync(join(root, 'days'), { recursive: true });
writeFileSync(join(root, 'labels.csv'), '');
writeFileSync(join(base, 'secret.csv'), '');
symlinkSync(join(base, 'secret.csv'), join(root, 'link.csv'));
symlinkSync(base, join(root, 'up'));
const data = { roots: [root, 's3://bucket/labels'], realPath: (path: string) => realpath(path) };

test('paths under a root are taken, with the format that they name', async () => {
  const wanted: [string, string, string][] = [
    ['labels.csv', 'csv', join(root, 'labels.csv')],
    [join(root, 'labels.csv'), 'csv', join(root, 'labels.csv')],
    ['days/../labels.csv', 'csv', join(root, 'labels.csv')],
    ['days', 'parquet', join(root, 'days')],
    ['days/*.parquet', 'parquet', join(root, 'days/*.parquet')],
    ['s3://bucket/labels/2024/a.ndjson', 'json', 's3://bucket/labels/2024/a.ndjson'],
  ];
  for (const [text, type, path] of wanted)
    assert.deepEqual(await labelsAt(text, data), { type, path, hivePartitioned: false }, text);
});

test('nothing outside of the roots can be named', async () => {
  for (const text of [
    '../secret.csv',
    join(base, 'secret.csv'),
    'days/../../secret.csv',
    'days/*/../../../secret.csv',
    'link.csv',
    'up/secret.csv',
    'up/*.csv',
    `${root}x/labels.csv`,
    '/etc/passwd',
    'file:///etc/passwd',
    'https://example.org/labels.csv',
    's3://bucket/labelsx/a.csv',
    's3://bucket/labels/../secret.csv',
    's3://bucket/labels/%2e%2e/secret.csv',
    's3://other/labels/a.csv',
    's3://user@bucket/labels/a.csv',
    'labels.csv\0.parquet',
  ])
    await assert.rejects(labelsAt(text, data), { code: 'serving/forbidden-path' }, text);
});

test('what is not there and what has no known format is said', async () => {
  await assert.rejects(labelsAt('none.csv', data), { code: 'serving/no-such-file' });
  writeFileSync(join(root, 'labels.xlsx'), '');
  await assert.rejects(labelsAt('labels.xlsx', data), { code: 'serving/unknown-format' });
});
