/** Protobuf schemas as text, parsed by protobufjs; of it only the parser is used, never what it generates. */
import protobuf, { type NamespaceBase, type Root, type Type } from 'protobufjs';
import { SamewiseError } from '../../base/errors.ts';
import type { RegisteredSchema } from './registry.ts';

/** What the serialisers of schema registries bring along. */
const DECIMAL = `syntax = "proto3"; package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }`;

export interface ProtoSchema {
  /** Message types of the file itself, in the order of their declaration. */
  readonly messages: readonly Type[];
}

/** Parses a schema and what it refers to. Throws `stream/bad-schema`. */
export function parseProtoSchema(schema: RegisteredSchema): ProtoSchema {
  if (schema.type !== 'PROTOBUF') {
    throw new SamewiseError(
      'stream/bad-schema',
      `schema ${schema.id} is of ${schema.type}, not Protobuf`,
    );
  }
  try {
    const root = new protobuf.Root();
    for (const name of [
      'any',
      'duration',
      'timestamp',
      'empty',
      'struct',
      'wrappers',
      'field_mask',
    ])
      root.addJSON(protobuf.common.get(`google/protobuf/${name}.proto`)!.nested!);
    parse(DECIMAL, root);
    for (const { name, text } of schema.references)
      if (!name.startsWith('google/protobuf/') && name !== 'confluent/type/decimal.proto')
        parse(text, root);
    const { package: packageName } = parse(schema.text, root);
    root.resolveAll();
    const within: NamespaceBase =
      packageName === undefined ? root : (root.lookup(packageName) as NamespaceBase);
    // By the file alone: others may have added to its package.
    const alone = new protobuf.Root();
    parse(schema.text, alone);
    const declared =
      packageName === undefined ? alone : (alone.lookup(packageName) as NamespaceBase);
    return { messages: messagesOf(declared).map(({ name }) => within.get(name) as Type) };
  } catch (error) {
    throw new SamewiseError(
      'stream/bad-schema',
      `the Protobuf schema ${schema.id} cannot be used: ${(error as Error).message}`,
    );
  }
}

function parse(text: string, root: Root) {
  return protobuf.parse(text, root, { keepCase: true });
}

/** The message types declared in a file's package or a message, in order. */
export function messagesOf(namespace: NamespaceBase): Type[] {
  return namespace.nestedArray.filter((nested) => nested instanceof protobuf.Type);
}
