/** What of the Kafka adapter needs no broker: partitions as other producers choose them, and how it logs in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compatibilityPartitioner } from '@platformatic/kafka';
import fc from 'fast-check';
import { SamewiseError } from '../../src/base/errors.ts';
import { kafkaSecurity } from '../../src/stream/kafka/index.ts';
import { partitionOf } from '../../src/stream/kafka/partitioner.ts';

test('keys go where Kafka’s own clients put them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 100 }), (key, n) => {
      assert.equal(
        partitionOf(key, n),
        compatibilityPartitioner({} as never, Buffer.from(key)) % n,
      );
    }),
  );
  // From the tests of Kafka's Java client: murmur2("21") is −973932308.
  assert.equal(partitionOf(Buffer.from('21'), 0x7fffffff), -973932308 & 0x7fffffff);
});

test('a login comes from the environment, and no error tells it', () => {
  assert.deepEqual(kafkaSecurity({}), {});
  const given = { SAMEWISE_KAFKA_USERNAME: 'reader', SAMEWISE_KAFKA_PASSWORD: 's3cret' };
  assert.deepEqual(kafkaSecurity(given), {
    sasl: { mechanism: 'SCRAM-SHA-512', username: 'reader', password: 's3cret' },
  });
  const plain = { ...given, SAMEWISE_KAFKA_MECHANISM: 'plain' };
  assert.deepEqual(kafkaSecurity({ ...plain, SAMEWISE_KAFKA_TLS: '1' }), {
    tls: {},
    tlsServerName: true,
    sasl: { mechanism: 'PLAIN', username: 'reader', password: 's3cret' },
  });
  for (const wrong of [
    plain,
    { ...given, SAMEWISE_KAFKA_MECHANISM: 'ROT13' },
    { ...given, SAMEWISE_KAFKA_USERNAME: '' },
    { ...given, SAMEWISE_KAFKA_TLS_CA: '/nowhere/ca.pem' },
  ])
    assert.throws(
      () => kafkaSecurity(wrong),
      (error) => {
        assert.ok(error instanceof SamewiseError && error.code === 'stream/bad-security');
        assert.ok(!JSON.stringify(error).includes('s3cret'));
        return true;
      },
    );
});
