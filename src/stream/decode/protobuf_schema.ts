/** Protobuf schemas as text, parsed by protobufjs; of it only the parser is used, never what it generates. */
import protobuf, { type NamespaceBase, type Root, type Type } from 'protobufjs';
import descriptors, { type IFileDescriptorProto } from 'protobufjs/ext/descriptor.js';
import { SamewiseError } from '../../base/errors.ts';
import type { RegisteredSchema } from './registry.ts';

/** What the serialisers of schema registries bring along. */
const DECIMAL_FILE = 'confluent/type/decimal.proto';
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
  const files = schema.references
    .filter(({ name }) => !name.startsWith('google/protobuf/') && name !== DECIMAL_FILE)
    .map(({ text }) => text);
  files.push(schema.text);
  try {
    const { root, packageName, names } = files.every((text) => BASE64.test(text))
      ? described(files)
      : parsed(files);
    const within = packageName === '' ? root : (root.lookup(packageName) as NamespaceBase);
    return { messages: names.map((name) => within.get(name) as Type) };
  } catch (error) {
    throw new SamewiseError(
      'stream/bad-schema',
      `the Protobuf schema ${schema.id} cannot be used: ${(error as Error).message}`,
    );
  }
}

/** Files in a root, with the package and, in order, the message types of the last one. */
interface Files {
  readonly root: Root;
  readonly packageName: string;
  readonly names: readonly string[];
}

/** Files as text. */
function parsed(files: readonly string[]): Files {
  const root = wellKnown();
  for (const text of files) protobuf.parse(text, root, { keepCase: true });
  root.resolveAll();
  // By the file alone: others may have added to its package.
  const alone = new protobuf.Root();
  const { package: packageName } = protobuf.parse(files.at(-1)!, alone, { keepCase: true });
  const declared = packageName == null ? alone : (alone.lookup(packageName) as NamespaceBase);
  return {
    root,
    packageName: packageName ?? '',
    names: messagesOf(declared).map(({ name }) => name),
  };
}

/** Files as FileDescriptorProto in base64, as some clients register them. Any text of a schema has a blank or a brace. */
const BASE64 = /^[A-Za-z0-9+/]+=*$/;

function described(files: readonly string[]): Files {
  const { FileDescriptorSet, FileDescriptorProto } = descriptors;
  const bytes = files.map((text) => Uint8Array.fromBase64(text));
  const known = wellKnown();
  known.resolveAll();
  const set = FileDescriptorSet.encode(known.toDescriptor('proto3'));
  // A set is its files, each as field 1 behind tag and length.
  for (const file of bytes) set.uint32(10).bytes(file);
  const last = FileDescriptorProto.decode(bytes.at(-1)!) as IFileDescriptorProto;
  return {
    root: protobuf.Root.fromDescriptor(set.finish(), { keepCase: true }),
    packageName: last.package ?? '',
    names: (last.messageType ?? []).map(({ name }) => name!),
  };
}

/** What every schema may refer to. */
function wellKnown(): Root {
  const root = new protobuf.Root();
  for (const name of ['any', 'duration', 'timestamp', 'empty', 'struct', 'wrappers', 'field_mask'])
    root.addJSON(protobuf.common.get(`google/protobuf/${name}.proto`)!.nested!);
  protobuf.parse(DECIMAL, root, { keepCase: true });
  return root;
}

/** The message types declared in a file's package or a message, in order. */
export function messagesOf(namespace: NamespaceBase): Type[] {
  return namespace.nestedArray.filter((nested) => nested instanceof protobuf.Type);
}
