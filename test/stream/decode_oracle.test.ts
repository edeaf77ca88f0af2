/** Frames and values as Confluent's own client writes them. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { create, createFileRegistry, createMutableRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema, TimestampSchema, timestampFromMs } from '@bufbuild/protobuf/wkt';
import protobuf from 'protobufjs';
import descriptors from 'protobufjs/ext/descriptor.js';
import { decoderFor, type SchemaRegistry } from '../../src/stream/decode/index.ts';
import { bool, float64, int64, list, string, timestamp } from '../../src/types/dtype.ts';
import { recordOf, rowOf, sourceOf } from './decode_support.ts';

// By its parts: as a whole it brings along the clients of three clouds.
const require = createRequire(import.meta.url);
const dist = '@confluentinc/schemaregistry/dist';
const { AvroSerializer } = require(`${dist}/serde/avro`);
const { ProtobufSerializer } = require(`${dist}/serde/protobuf`);
const { SerdeType } = require(`${dist}/serde/serde`);
const { MockClient } = require(`${dist}/mock-schemaregistry-client`);

/** The client's own registry, in memory. */
function registryOf(client: InstanceType<typeof MockClient>, subject: string): SchemaRegistry {
  return {
    async schema(id) {
      const { schema, schemaType, references = [] } = await client.getBySubjectAndId(subject, id);
      const texts = references.map(
        async (reference: { name: string; subject: string; version: number }) => ({
          name: reference.name,
          text: (await client.getSchemaMetadata(reference.subject, reference.version)).schema,
        }),
      );
      return { id, type: schemaType ?? 'AVRO', text: schema, references: await Promise.all(texts) };
    },
  };
}

test('Avro by Confluent’s serialiser', async () => {
  const client = new MockClient();
  const schema = JSON.stringify({
    type: 'record',
    name: 'Payment',
    fields: [
      { name: 'id', type: 'long' },
      { name: 'at', type: { type: 'long', logicalType: 'timestamp-micros' } },
      { name: 'amount', type: ['null', 'double'] },
      { name: 'tags', type: { type: 'array', items: 'string' } },
      { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['CARD', 'CASH'] } },
    ],
  });
  await client.register('t-value', { schemaType: 'AVRO', schema });
  const serializer = new AvroSerializer(client, SerdeType.VALUE, { useLatestVersion: true });
  const source = sourceOf(
    [
      { name: 'id', dtype: int64 },
      { name: 'at', dtype: timestamp },
      { name: 'amount', dtype: float64 },
      { name: 'tags', dtype: list(string) },
      { name: 'kind', dtype: string },
    ],
    { stream: { format: 'avro' } },
  );
  const decoder = decoderFor(source, { registry: registryOf(client, 't-value') });
  const rows = [
    { id: 1, at: 1795244316447761, amount: 0.1, tags: ['a', 'é€😀'], kind: 'CASH' },
    // Beyond 2^52 the client itself writes other numbers: it makes zigzag of doubles.
    { id: -(2 ** 52), at: -1, amount: null, tags: [], kind: 'CARD' },
  ];
  for (const row of rows) {
    const [decoded] = await decoder.decode([recordOf(await serializer.serialize('t', row))]);
    assert.deepEqual(rowOf(decoded!).values, row);
  }
});

test('Protobuf by Confluent’s serialiser, with nested types, and schemas as descriptors', async () => {
  const text = `syntax = "proto3"; package shop.v1; import "google/protobuf/timestamp.proto";
    message First { string x = 1; }
    message Payment {
      message Line { int64 id = 1; optional double amount = 2; bool paid = 3; }
      int64 id = 1; google.protobuf.Timestamp at = 2; repeated string tags = 3; optional double amount = 4;
      sint64 change = 5; bool paid = 6;
    }`;
  const root = new protobuf.Root();
  root.addJSON(protobuf.common.get('google/protobuf/timestamp.proto')!.nested!);
  protobuf.parse(text, root, { keepCase: true }).root.resolveAll();
  const set = fromBinary(
    FileDescriptorSetSchema,
    descriptors.FileDescriptorSet.encode(root.toDescriptor('proto3')).finish(),
  );
  const own = set.file.find((file) => file.package === 'shop.v1')!;
  own.name = 'shop.proto';
  own.dependency = ['google/protobuf/timestamp.proto'];
  const files = createFileRegistry(own, (name) =>
    name === 'google/protobuf/timestamp.proto' ? TimestampSchema.file : undefined,
  );
  const client = new MockClient();
  const serializer = new ProtobufSerializer(client, SerdeType.VALUE, {
    autoRegisterSchemas: true,
    registry: createMutableRegistry(...files),
  });
  const columns = [
    { name: 'id', dtype: int64 },
    { name: 'amount', dtype: float64 },
    { name: 'paid', dtype: bool },
  ];
  const more = [
    { name: 'at', dtype: timestamp },
    { name: 'tags', dtype: list(string) },
    { name: 'change', dtype: int64 },
  ];
  const decoders = [columns, [...columns, ...more]].map((all) =>
    decoderFor(sourceOf(all, { stream: { format: 'protobuf' } }), {
      registry: registryOf(client, 't-value'),
    }),
  );
  const line = files.getMessage('shop.v1.Payment.Line')!;
  const payment = files.getMessage('shop.v1.Payment')!;
  const written = async (message: unknown) => recordOf(await serializer.serialize('t', message));
  const [small] = await decoders[0]!.decode([
    await written(create(line, { id: 9007199254740993n, paid: true })),
  ]);
  assert.deepEqual(rowOf(small!).values, { id: 9007199254740993n, amount: null, paid: true });
  const [large] = await decoders[1]!.decode([
    await written(
      create(payment, {
        id: -1n,
        at: timestampFromMs(1795244316447),
        tags: ['a', 'é'],
        amount: 0,
        change: -5n,
      }),
    ),
  ]);
  assert.deepEqual(rowOf(large!).values, {
    id: -1n,
    at: 1795244316447000,
    tags: ['a', 'é'],
    amount: 0,
    change: -5,
    paid: false,
  });
});
