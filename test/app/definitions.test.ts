import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Config } from '../../src/app/config.ts';
import { loadDefinitions as load } from '../../src/app/definitions.ts';
import { scaffold } from '../../src/cli/scaffold.ts';

const loadDefinitions = (definitions: string) => load({ definitions } as Config);

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'samewise-definitions-'));
});
after(() => rmSync(folder, { recursive: true }));

let files = 0;
function written(text: string): string {
  const file = join(folder, `features${files++}.ts`);
  writeFileSync(file, text);
  return file;
}

test('the definitions that init writes load', async () => {
  const catalog = await loadDefinitions(written(scaffold('x', '1')['features.ts']!));
  assert.deepEqual(Object.keys(catalog.featureViews), ['customer_spending']);
  assert.deepEqual(Object.keys(catalog.featureServices), ['fraud_v1']);
});

test('a changed file is read again by the same process', async () => {
  const entity = (name: string) =>
    `import { entity, int64 } from 'samewise';\nexport const e = entity({ name: '${name}', key: { id: int64 } });\n`;
  const file = written(entity('one'));
  assert.deepEqual(Object.keys((await loadDefinitions(file)).entities), ['one']);
  await new Promise((resolve) => setTimeout(resolve, 20));
  writeFileSync(file, entity('two'));
  assert.deepEqual(Object.keys((await loadDefinitions(file)).entities), ['two']);
});

test('errors say file and line', async () => {
  const bad: [string, { code: string; line?: number }][] = [
    [
      "import { entity } from 'samewise';\n\nexport const e = entity({ name: 'bad name', key: {} });",
      { code: 'model/', line: 3 },
    ],
    [
      "import { entity, int64, source, timestamp, featureView, count } from 'samewise';\n" +
        "const e = entity({ name: 'e', key: { id: int64 } });\n" +
        "const s = source({ name: 's', columns: { id: int64, at: timestamp }, eventTime: 'at' });\n" +
        "export const v = featureView({\n  name: 'v', entity: e, source: s,\n  features: () => ({\n" +
        "    ok: count().over('1d'),\n    'not ok': count().over('1d'),\n  }),\n});",
      { code: 'model/', line: 5 },
    ],
    ['const a = null;\nexport const b = a.c;', { code: 'app/definitions-failed', line: 2 }],
    ['export const a = 1;\nexport const = 2;', { code: 'app/definitions-failed', line: 2 }],
    ['export enum E { A }', { code: 'app/definitions-failed' }],
    ["import { a } from './nowhere.ts';\nexport { a };", { code: 'app/definitions-failed' }],
    ['export const a = 1;', { code: 'app/no-definitions' }],
    ['', { code: 'app/no-definitions' }],
  ];
  for (const [text, { code, line }] of bad) {
    const file = written(text);
    await assert.rejects(loadDefinitions(file), (error: any) => {
      assert.ok(error.code.startsWith(code), `${error.code} for ${text}: ${error.message}`);
      assert.equal(error.where.file, file, text);
      if (line !== undefined) assert.equal(error.where.line, line, text);
      return true;
    });
  }
  await assert.rejects(loadDefinitions(join(folder, 'none.ts')), { code: 'app/no-definitions' });
});
