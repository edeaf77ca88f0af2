/** The example projects are valid, and `samewise` is found as their users find it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');

/** Loads an example in a process of its own, as the command line does, and plans its service. */
function load(example: string): { definitions: number; outputs: string[]; depth: number } {
  const script = `
    import { collect } from 'samewise';
    import * as exports from './examples/${example}/features.ts';
    import { catalogOf, planService, validateCatalog } from './src/model/index.ts';
    const definitions = collect(exports);
    const catalog = catalogOf(definitions);
    validateCatalog(catalog);
    const [service] = Object.values(catalog.featureServices);
    const plan = planService(catalog, service.members);
    const outputs = plan.outputs.map(({ name }) => name);
    console.log(JSON.stringify({ definitions: definitions.length, outputs, depth: plan.depth }));
  `;
  const out = execFileSync(
    process.execPath,
    ['--conditions=samewise-source', '--input-type=module', '--eval', script],
    { cwd: ROOT, encoding: 'utf8' },
  );
  return JSON.parse(out);
}

test('flights', () => {
  const { definitions, outputs, depth } = load('flights');
  assert.equal(definitions, 8);
  assert.equal(depth, 2);
  assert.equal(outputs.length, 22);
  assert.ok(outputs.includes('hub_inbound_mean_delay_1d'));
});

test('fraud', () => {
  const { definitions, outputs, depth } = load('fraud');
  assert.equal(definitions, 6);
  assert.equal(depth, 1);
  assert.equal(outputs.length, 12);
});
