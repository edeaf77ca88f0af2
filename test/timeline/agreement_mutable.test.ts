/** Random histories of mutable sources: reads, sweeps and the naive fold agree. */
import { test } from 'node:test';
import { cases } from '../support/cases.ts';
import { checkHistories } from './agreement.ts';

test('mutable: read, sweep and naive fold give the same bits', () => {
  checkHistories(true, cases(5_000));
});
