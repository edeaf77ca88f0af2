import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { collect, count, entity, featureView, lastK, source } from '../../src/dsl/index.ts';
import {
  catalogOf,
  DEFAULT_STREAM,
  definitionFromJson,
  definitionToJson,
  fingerprint,
  type Source,
  validateCatalog,
} from '../../src/model/index.ts';
import { int64, string, timestamp } from '../../src/types/dtype.ts';
import { cases } from '../support/cases.ts';
import { definitions } from './fixtures.ts';

test('definitions come back as they were', () => {
  for (const definition of definitions) {
    const back = definitionFromJson(definitionToJson(definition));
    assert.deepEqual(back, JSON.parse(JSON.stringify(definition)));
    assert.equal(definitionToJson(back), definitionToJson(definition));
  }
  const back = definitions.map((d) => definitionFromJson(definitionToJson(d)));
  validateCatalog(catalogOf(back));
  const [before, after] = [catalogOf(definitions), catalogOf(back)];
  definitions.forEach((d, i) => {
    assert.equal(fingerprint(back[i]!, after), fingerprint(d, before));
  });
});

test('random views come back as they were', () => {
  const duration = fc.constantFrom('1h', '90m', '7d', '500ms') as fc.Arbitrary<'1h'>;
  const feature = fc.record({
    k: fc.integer({ min: 1, max: 9 }),
    over: duration,
    delay: fc.option(duration),
    above: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    description: fc.string({ unit: 'binary' }),
    list: fc.boolean(),
    default: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  });
  fc.assert(
    fc.property(fc.array(feature, { minLength: 1, maxLength: 6 }), (features) => {
      const thing = entity({ name: 'thing', key: { id: int64 } });
      const events = source({
        name: 'events',
        columns: { id: int64, at: timestamp, x: int64, s: string },
        eventTime: 'at',
      });
      const view = featureView({
        name: 'v',
        entity: thing,
        source: events,
        features: ({ x }) =>
          Object.fromEntries(
            features.map((f, i) => {
              let built = f.list
                ? lastK(x, f.k).over(f.over)
                : f.default === null
                  ? count().over(f.over)
                  : count(x).over(f.over).default(f.default);
              if (f.delay !== null) built = built.delay(f.delay);
              if (f.above !== null) built = built.where(x.gt(f.above));
              return [`f${i}`, built.describe(f.description)];
            }),
          ),
      });
      const made = collect({ view });
      validateCatalog(catalogOf(made));
      for (const definition of made)
        assert.deepEqual(definitionFromJson(definitionToJson(definition)), definition);
    }),
    { numRuns: cases(100) },
  );
});

test('a source that was written before sources had streams and lookups has the usual ones', () => {
  const written = definitions.find(({ kind }) => kind === 'source')! as Source;
  const { stream, lookups, ...before } = JSON.parse(definitionToJson(written));
  assert.deepEqual([stream !== undefined, lookups], [true, undefined]);
  const read = definitionFromJson(JSON.stringify(before)) as Source;
  assert.deepEqual([read.stream, read.lookups], [DEFAULT_STREAM, []]);
});

test('what cannot be read is told apart', () => {
  const text = definitionToJson(definitions[0]!);
  assert.throws(() => definitionFromJson(text.replace('"ir":1', '"ir":4')), {
    code: 'model/unknown-ir-version',
  });
  for (const bad of ['', '{', 'null', '[]', '{}', '{"ir":1}', '{"ir":1,"kind":"table"}'])
    assert.throws(() => definitionFromJson(bad), { code: 'model/not-a-definition' }, bad);
});
