import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatCount } from '../../src/base/numbers.ts';

test('numbers are grouped and sizes have units', () => {
  assert.equal(formatCount(0), '0');
  assert.equal(formatCount(999.6), '1,000');
  assert.equal(formatCount(-1234567), '-1,234,567');
  assert.equal(formatBytes(1023), '1023 B');
  assert.equal(formatBytes(1536), '1.5 KiB');
  assert.equal(formatBytes(2 ** 50), '1024.0 TiB');
});
