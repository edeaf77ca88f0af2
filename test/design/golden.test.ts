/**
 * The same requirements give the same bytes: the two examples with all that is made of them. `UPDATE_DOCS=1 node --test test/design` writes
 * them anew. Their projects are type-checked with everything else, and planned here.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { planProject } from '../../src/app/define.ts';
import { designFiles, writeFiles } from '../../src/app/design.ts';
import { openApp } from '../../src/app/open.ts';
import { readRequirements, starter } from '../../src/design/index.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples/design');

for (const name of ['fraud', 'recommendation'])
  test(`${name}: document, project and manifests are those of examples/design, and the project plans`, async (t) => {
    const text = readFileSync(join(EXAMPLES, `${name}.yaml`), 'utf8');
    // A package of its own would hide from the compiler that `samewise` is this one.
    const { 'project/package.json': own, ...files } = await designFiles(text, `${name}.yaml`);
    if (process.env.UPDATE_DOCS === '1') writeFiles(join(EXAMPLES, name), files);
    for (const [path, made] of Object.entries(files))
      assert.equal(
        made,
        readFileSync(join(EXAMPLES, name, path), 'utf8'),
        `${path}: UPDATE_DOCS=1 writes it anew`,
      );

    const folder = mkdtempSync(join(tmpdir(), 'samewise-starter-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const project = starter(readRequirements(text, 'r.yaml'));
    assert.equal(project['package.json'], own);
    writeFiles(folder, project);
    const app = await openApp({ projectDir: folder, environment: {} });
    try {
      const { changes, backfills } = await planProject(app);
      assert.ok(changes.length > 8 && changes.every(({ change }) => change === 'create'));
      assert.ok(backfills.length >= 4);
    } finally {
      await app.close();
    }
  });
