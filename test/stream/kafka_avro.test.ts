/** Avro by a real schema registry and Kafka to decoded rows, while its schema grows. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import avro from 'avsc';
import { decoderFor, schemaRegistry } from '../../src/stream/decode/index.ts';
import { int64, string } from '../../src/types/dtype.ts';
import { countOf, readUntil } from '../conformance/event_log_fixture.ts';
import { codeOf, framed, rowOf, sourceOf } from './decode_support.ts';
import { cluster } from './kafka_fixture.ts';
import { servers } from './servers.ts';

const { skip, at } = await servers('kafka', 'schema-registry');

describe('Avro by Kafka and a schema registry', { skip }, () => {
  test('rows of two schemas, and one of a schema that nobody knows', async (t) => {
    const kafka = cluster(at[0]);
    t.after(() => kafka.close());
    const topic = await kafka.topic(1);
    const fields = [
      { name: 'id', type: 'long' },
      { name: 'note', type: 'string' },
    ];
    const grown = [...fields, { name: 'amount', type: ['null', 'double'], default: null }];
    const schemas = [fields, grown].map((f) => ({ type: 'record', name: 'Event', fields: f }));
    const ids: number[] = [];
    for (const schema of schemas) {
      const response = await fetch(`${at[1]}/subjects/${topic}-value/versions`, {
        method: 'POST',
        headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
        body: JSON.stringify({ schema: JSON.stringify(schema) }),
      });
      ids.push(((await response.json()) as { id: number }).id);
    }
    const values = [
      { id: 1, note: 'é' },
      { id: 2, note: '', amount: 1.5 },
    ];
    const log = kafka.open();
    await log.append(topic, [
      ...values.map((value, i) => ({
        key: null,
        value: framed(ids[i]!, avro.Type.forSchema(schemas[i] as avro.Schema).toBuffer(value)),
      })),
      { key: null, value: framed(987_654, new Uint8Array(3)) },
    ]);
    const source = sourceOf(
      [
        { name: 'id', dtype: int64 },
        { name: 'note', dtype: string },
      ],
      { stream: { format: 'avro' } },
    );
    const registry = schemaRegistry(at[1], { jitter: () => 0 });
    const consumer = await log.consume(topic, { group: 'g' });
    const read = await readUntil(consumer, (so) => countOf(so) === 3);
    const decoded = await decoderFor(source, { registry }).decode(read.get('0')!);
    assert.equal(Number(rowOf(decoded[0]!).values.id), 1);
    assert.equal(rowOf(decoded[0]!).values.note, 'é');
    assert.equal(Number(rowOf(decoded[1]!).values.id), 2);
    assert.match(codeOf(decoded[2]!), /^stream\//);
  });
});
