import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseExactJson } from '../../src/base/exact_json.ts';
import { cases } from '../support/cases.ts';

test('every whole number keeps its digits, wherever it stands and however it is written', () => {
  const digits = fc
    .tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 10n ** 22n }), fc.integer({ min: 0, max: 40 }))
    .map(([minus, n, pad]) => `${' '.repeat(pad)}${minus && n > 0n ? '-' : ''}${n}`);
  const edge = fc
    .bigInt({ min: -40n, max: 40n })
    .map((n) => String(BigInt(Number.MAX_SAFE_INTEGER) + n));
  const other = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => JSON.stringify(x)),
    fc.string().map((s) => JSON.stringify(s)),
    edge.map((n) => JSON.stringify(n)),
    edge.map((n) => `0.${n}`),
    edge.map((n) => `${n}e3`),
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(digits, edge, other), { maxLength: 8 }), (texts) => {
      const parsed = parseExactJson(`[${texts.join(',')}]`) as unknown[];
      texts.forEach((text, i) => {
        if (!/^\s*-?\d+$/.test(text)) assert.ok(Object.is(parsed[i], JSON.parse(text)), text);
        else assert.equal(BigInt(parsed[i] as number), BigInt(text.trim()));
      });
    }),
    { numRuns: cases(2000) },
  );
});
