/** docs/serving.md lists every error code of serving, and what the codes of other areas mean over HTTP. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SamewiseError } from '../../src/base/errors.ts';
import { statusOf } from '../../src/serving/errors.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/serving.md'), 'utf8');
const statusOfCode = (code: string) => statusOf(new SamewiseError(code, ''));

/** Codes that stand in the source, and files of them. */
function codes(pattern: RegExp): string[] {
  const files = globSync('src/**/*.ts', { cwd: ROOT });
  const found = files.flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(pattern)].map(([, code]) => code!),
  );
  return [...new Set(found)].sort();
}

test('the table has every code of serving, with its status', () => {
  const listed = [...page.matchAll(/^\| `(serving\/[a-z-]+)` \| (\d+) \| .+ \|$/gm)];
  assert.deepEqual(
    listed.map(([, code, status]) => `${code} ${status}`).sort(),
    codes(/'(serving\/[a-z-]+)'/g).map((code) => `${code} ${statusOfCode(code)}`),
  );
});

test('the table of areas has every area of which an answer may tell, with its status', () => {
  const listed = [...page.matchAll(/^\| `([a-z]+)\/…` \| (\d+) \| (.+) \|$/gm)];
  const areas = new Set(codes(/'([a-z]+\/[a-z-]+)'/g).map((code) => code.split('/')[0]!));
  for (const [, area, status, says] of listed) {
    assert.equal(statusOfCode(`${area}/any`), Number(status), area);
    // Codes that have a status of their own are named.
    for (const code of codes(new RegExp(`'(${area}/[a-z-]+)'`, 'g'))) {
      const own = statusOfCode(code);
      const named =
        says!.includes(`\`${code}\``) ||
        (code.includes('/unknown-') && says!.includes('`unknown-…`: 404') && own === 404);
      if (own !== Number(status)) assert.ok(named, `${code} is ${own}`);
    }
  }
  const known = listed.map(([, area]) => area!);
  for (const area of areas)
    if (statusOfCode(`${area}/any`) !== 500) assert.ok([...known, 'serving'].includes(area), area);
});
