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

## What a feature may say of itself

| | |
|---|---|
| \`.default(x)\` | Stands in for every null that nothing else stands in for. |
| \`.orElse(a, b, …)\` | Features of other views that stand in, the first that is present, where this one is not. |
| \`.freshness('5s')\` | How old the newest applied event may be; the view's freshness without. No part of the meaning. |
| \`.whenStale('null')\` | What is answered while that promise is broken: \`serve\` (unless told), \`null\` or \`fail\`. No part of the meaning. |
| \`.describe('…')\`, \`.tags({ … })\` | For people and for search. No part of the meaning. |

A plain column is \`latest(column)\`, which can say all of this. What they do to answers: [serving.md](serving.md).

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
