/** What is generated says what proto/ says; `make proto` makes it so. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type DescFile, fromBinary, toJson } from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';

const ROOT = join(import.meta.dirname, '../../..');
const GENERATED = join(ROOT, 'src/serving/grpc/gen');

/** Without what a program does not need and generated code leaves out. */
function bare(file: FileDescriptorProto): unknown {
  const json = toJson(FileDescriptorProtoSchema, file);
  return JSON.parse(JSON.stringify(json, (key, value) => (key === 'jsonName' ? undefined : value)));
}

test('the generated files are those of proto/', async () => {
  const buf = join(ROOT, 'node_modules/.bin/buf');
  const built = execFileSync(buf, ['build', '--as-file-descriptor-set', '-o', '-'], {
    cwd: join(ROOT, 'proto'),
  });
  const files = fromBinary(FileDescriptorSetSchema, built).file.filter(
    ({ name }) => !name.startsWith('google/protobuf/'),
  );
  const modules = readdirSync(GENERATED, { recursive: true, encoding: 'utf8' });
  const names = modules.filter((name) => name.endsWith('_pb.ts')).sort();
  assert.deepEqual(names, files.map(({ name }) => name.replace(/\.proto$/, '_pb.ts')).sort());
  for (const file of files) {
    file.sourceCodeInfo = undefined;
    const path = join(GENERATED, file.name.replace(/\.proto$/, '_pb.ts'));
    const module = (await import(path)) as Record<string, DescFile>;
    const { proto } = Object.values(module).find((each) => each.kind === 'file')!;
    assert.deepEqual(bare(proto), bare(file), file.name);
  }
});
