/** Search against its plain twin: every word must be the beginning of a word somewhere. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FeatureView } from '../../src/model/index.ts';
import { openSqliteRegistry } from '../../src/registry/sqlite.ts';
import { step } from '../conformance/registry.ts';
import { cases } from '../support/cases.ts';
import { view } from './objects.ts';

const wordsOf = (text: string) =>
  text
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean);

/** Whether `text` has the words of `wanted` one after the other, the last as a prefix. */
function holds(text: string, wanted: readonly string[]): boolean {
  const words = wordsOf(text);
  return words.some((_, at) =>
    wanted.every((want, i) =>
      i === wanted.length - 1 ? words[at + i]?.startsWith(want) : words[at + i] === want,
    ),
  );
}

function naiveSearch(views: readonly FeatureView[], text: string): string[] {
  const wanted = text
    .split(/\s+/)
    .map(wordsOf)
    .filter((words) => words.length > 0);
  return views.flatMap((view) =>
    view.features
      .filter((feature) => {
        const texts = [
          feature.name,
          view.name,
          view.entity,
          view.owner,
          feature.description,
          JSON.stringify({ ...view.tags, ...feature.tags }),
        ];
        return wanted.every((words) => texts.some((text) => holds(text, words)));
      })
      .map((feature) => `${view.name}:${feature.name}`),
  );
}

const word = fc.constantFrom('avg', 'amount', 'amo', 'am', 'tx', '7d', '30d', 'über', 'Tx', 'a');
const name = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => words.join('_'));
const query = fc.array(fc.oneof(word, name, fc.constant('-')), { maxLength: 3 });

test('search finds what the plain reading of its rule finds', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(name, { minLength: 1, maxLength: 4 }),
      fc.uniqueArray(name, { minLength: 1, maxLength: 4 }),
      fc.array(query, { minLength: 1, maxLength: 5 }),
      async (viewNames, featureNames, queries) => {
        const objects = viewNames.map((v, i) =>
          view(v, featureNames, { owner: `team_${i}`, tags: { area: featureNames[0]! } }),
        );
        const registry = await openSqliteRegistry(':memory:');
        await registry.apply(step(0, objects));
        for (const words of queries) {
          const text = words.join(' ');
          const found = await registry.search(text, {}, 1000);
          const expected = naiveSearch(
            objects.map(({ definition }) => definition as FeatureView),
            text,
          );
          assert.deepEqual(found.map(({ ref }) => ref).toSorted(), expected.toSorted(), text);
        }
        await registry.close();
      },
    ),
    { numRuns: cases(100) },
  );
});
