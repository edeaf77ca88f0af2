/** Random histories of append-only sources: reads, sweeps and the naive fold agree. */
import { test } from 'node:test';
import { cases } from '../support/cases.ts';
import { checkHistories } from './agreement.ts';

test('append-only: read, sweep and naive fold give the same bits', () => {
  checkHistories(false, cases(5_000));
});
