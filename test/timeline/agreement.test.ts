/** The agreement holds for what once broke it, and would not hold if a rule were broken. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Rules } from '../oracle/timeline.ts';
import { checkAgreement, RULES } from './agreement.ts';
import { anyCase, type Case } from './histories.ts';

const REGRESSIONS = join(import.meta.dirname, '../regressions');

for (const file of readdirSync(REGRESSIONS).filter((name) => /^timeline-.*\.json$/.test(name)))
  test(`once wrong: ${file}`, () => {
    checkAgreement(JSON.parse(readFileSync(join(REGRESSIONS, file), 'utf8')) as Case);
  });

/** Each breaks one rule of the twin; if the property still held, it would not be testing that rule. */
const MUTANTS: Record<string, Rules> = {
  'a window that sees its right edge': {
    ...RULES,
    inWindow: (window, t, readUs) => RULES.inWindow(window, t, readUs + 1),
  },
  'a window that misses its left edge': {
    ...RULES,
    inWindow: (window, t, readUs) =>
      RULES.inWindow(window, t, readUs) &&
      (window.sizeUs === null ||
        window.hopUs !== null ||
        t > readUs - window.delayUs - window.sizeUs),
  },
  'ties broken by id before arrival': {
    ...RULES,
    compare: (x, y) => x.t - y.t || (x.id < y.id ? -1 : x.id > y.id ? 1 : x.a - y.a),
  },
  'ties broken by the unsigned id': {
    ...RULES,
    compare: (x, y) =>
      x.t - y.t || x.a - y.a || (BigInt.asUintN(64, x.id) < BigInt.asUintN(64, y.id) ? -1 : 1),
  },
  'a sum that rounds as it goes': {
    ...RULES,
    fold: (spec, input, values) => {
      const numbers = values.filter((value) => typeof value === 'number');
      return spec.fn === 'sum' && numbers.length > 0
        ? numbers.reduce((x, y) => x + y, 0)
        : RULES.fold(spec, input, values);
    },
  },
};

for (const [name, rules] of Object.entries(MUTANTS))
  test(`caught: ${name}`, () => {
    const property = fc.property(anyCase, (the) => checkAgreement(the, rules));
    const found = fc.check(property, { numRuns: 2_000, endOnFailure: true });
    assert.ok(found.failed, 'the property does not see this mutant');
  });
