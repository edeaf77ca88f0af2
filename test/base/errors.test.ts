import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AssertionError,
  assert as holds,
  inContext,
  nearest,
  SamewiseError,
} from '../../src/base/errors.ts';

test('an error learns where it happened on its way out; the nearer place wins', () => {
  const cause = new Error('cause');
  const thrown = () =>
    inContext({ view: 'outer', source: 's' }, () => {
      throw new SamewiseError('a/b', 'wrong', { where: { view: 'inner' }, hint: 'do', cause });
    });
  assert.throws(thrown, (error: SamewiseError) => {
    assert.deepEqual(error.toJSON(), {
      code: 'a/b',
      message: 'wrong',
      where: { view: 'inner', source: 's' },
      hint: 'do',
    });
    assert.equal(error.cause, cause);
    return true;
  });
});

test('a bug passes through untouched', () => {
  const bug = new TypeError('bug');
  assert.throws(
    () =>
      inContext({ view: 'v' }, () => {
        throw bug;
      }),
    (error) => error === bug,
  );
  assert.throws(() => holds(false, 'it holds'), AssertionError);
  holds(true, 'it holds');
});

test('the nearest name is offered only when it is near', () => {
  const names = ['amount', 'customer_id', 'terminal_id'];
  assert.equal(nearest('amout', names), 'amount');
  assert.equal(nearest('CUSTOMER_ID', names), 'customer_id');
  assert.equal(nearest('customerid', names), 'customer_id');
  assert.equal(nearest('zzzzzz', names), undefined);
  assert.equal(nearest('x', []), undefined);
});
