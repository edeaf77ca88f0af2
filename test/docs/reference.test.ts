/** docs/reference.md says what the catalogues say. `UPDATE_DOCS=1 node --test test/docs` writes it anew. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AGGREGATES } from '../../src/aggregate/index.ts';
import { FUNCTIONS } from '../../src/expr/index.ts';

const PATH = join(import.meta.dirname, '../../docs/reference.md');

function reference(): string {
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const aggregates = [...AGGREGATES.values()].map((a) => {
    const params = Object.entries(a.params).map(([name, p]) =>
      p.default == null ? name : `${name} = ${p.default}`,
    );
    const input = a.input === null ? 'none' : a.input.text;
    return `| \`${a.fn}\` | ${params.join(', ')} | ${cell(input)} | ${cell(a.outputText)} | ${cell(a.doc)} |`;
  });
  const functions = [...FUNCTIONS.values()]
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((f) => `| \`${cell(f.signature)}\` | ${cell(f.doc)} |`);
  return `# Reference: aggregates and functions

Made from the catalogues that the kernel runs; a test keeps it true. In definitions, names are written in camel case
(\`lastK\`, \`distinctCount\`) and functions are methods of a column where they have a first argument (\`amount.div(mean)\`).

## Aggregates

Each takes \`.where(condition)\` and a window: \`.over('7d')\`, \`.lifetime()\`, \`.sinceStartOf('day')\`, \`.overLast(n)\`, with
\`.delay('1d')\` and \`.hop('1h')\`. Null inputs are skipped unless it says otherwise.

| aggregate | parameters | input | result | meaning |
|---|---|---|---|---|
${aggregates.join('\n')}

## Functions

Null in, null out, unless it says otherwise. Nothing gives NaN: where IEEE 754 would, the result is null. Zero is always +0.

| function | meaning |
|---|---|
${functions.join('\n')}
`;
}

test('the reference lists every aggregate and function as the kernel has them', () => {
  if (process.env.UPDATE_DOCS === '1') writeFileSync(PATH, reference());
  assert.equal(readFileSync(PATH, 'utf8'), reference());
});
