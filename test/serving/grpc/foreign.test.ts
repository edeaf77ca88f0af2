/** A client that shares no code with the server: grpc-js, which learns the services by reflection. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import {
  Client,
  type ClientDuplexStream,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { serverOver } from '../support.ts';
import { BIG, DEFINITIONS, fill } from '../world.ts';

const PROTO = join(import.meta.dirname, '../../../proto');
const LOADING = {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
} as const;
const insecure = credentials.createInsecure();

let server: Awaited<ReturnType<typeof serverOver>>;
let address: string;
before(async () => {
  server = await serverOver(DEFINITIONS);
  await fill(server.online);
  address = (await server.app.listen({ port: 0, host: '127.0.0.1' })).slice('http://'.length);
});
after(() => server.app.close());

function serviceOf(packages: GrpcObject, name: string): ServiceClientConstructor {
  let at: any = packages;
  for (const part of name.split('.')) at = at[part];
  return at;
}

/** A client from a .proto file of this repository. */
function clientOf(file: string, name: string): any {
  const packages = loadPackageDefinition(
    loadSync(join(PROTO, file), { ...LOADING, includeDirs: [PROTO] }),
  );
  return new (serviceOf(packages, name))(address, insecure);
}

function unary(client: any, method: string, request: object, ...more: unknown[]): Promise<any> {
  return new Promise((resolve, reject) => {
    client[method](request, ...more, (error: ServiceError | null, answer: unknown) =>
      error === null ? resolve(answer) : reject(error),
    );
  });
}

/** Asks one question of the reflection service. */
async function reflected(version: string, question: object): Promise<any> {
  const client = clientOf(
    `grpc/reflection/${version}/reflection.proto`,
    `grpc.reflection.${version}.ServerReflection`,
  );
  const stream = client.ServerReflectionInfo() as ClientDuplexStream<object, any>;
  const { promise, resolve, reject } = Promise.withResolvers<any>();
  stream.on('data', resolve);
  stream.on('error', reject);
  stream.write(question);
  const answer = await promise;
  stream.end();
  client.close();
  return answer;
}

for (const version of ['v1', 'v1alpha']) {
  test(`reflection ${version} tells enough to call`, async () => {
    const listed = await reflected(version, { list_services: '*' });
    const names = listed.list_services_response.service.map(({ name }: { name: string }) => name);
    assert.deepEqual(names.sort(), [
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      'samewise.v1.FeatureService',
      'samewise.v1.RegistryService',
      'samewise.v1.TrainingService',
    ]);
    const { file_descriptor_response: files } = await reflected(version, {
      file_containing_symbol: 'samewise.v1.FeatureService.GetOnlineFeatures',
    });
    const set = create(FileDescriptorSetSchema, {
      file: files.file_descriptor_proto
        .map((bytes: Uint8Array) => fromBinary(FileDescriptorProtoSchema, bytes))
        .reverse(),
    });
    const packages = loadPackageDefinition(
      loadFileDescriptorSetFromBuffer(Buffer.from(toBinary(FileDescriptorSetSchema, set)), LOADING),
    );
    const client = new (serviceOf(packages, 'samewise.v1.FeatureService'))(address, insecure);
    const answer = await unary(client, 'getOnlineFeatures', {
      service: 'fraud',
      entities: [
        { name: 'customer_id', longs: ['7', '404'] },
        { name: 'amount', doubles: [30, 1] },
      ],
    });
    const byName = Object.fromEntries(answer.columns.map((column: any) => [column.name, column]));
    assert.deepEqual(byName.last_ticket.longs, [String(BIG), '0']);
    assert.deepEqual([...byName.last_ticket.nulls], [2]);
    assert.deepEqual(byName.last_ticket.statuses, ['STATUS_PRESENT', 'STATUS_NOT_FOUND']);
    assert.deepEqual(byName.last_3.lengths, [3, 0]);
    assert.deepEqual(byName.last_3.items.doubles, [10, 20, 0.1]);
    client.close();
  });
}

test('reflection answers what is not there with an error, and goes on', async () => {
  for (const question of [
    { file_containing_symbol: 'samewise.v1.Nothing' },
    { file_containing_symbol: 'samewise.v1.FeatureService.Nothing' },
    { file_containing_symbol: '' },
    { file_by_filename: 'nothing.proto' },
    { file_containing_extension: { containing_type: 'samewise.v1.Column', extension_number: 1 } },
    { all_extension_numbers_of_type: 'samewise.v1.Nothing' },
  ])
    assert.equal((await reflected('v1', question)).error_response?.error_code, status.NOT_FOUND);
  const file = await reflected('v1', { file_by_filename: 'samewise/v1/values.proto' });
  assert.equal(file.file_descriptor_response.file_descriptor_proto.length, 1);
  const field = await reflected('v1', { file_containing_symbol: 'samewise.v1.Column.nulls' });
  assert.equal(field.file_descriptor_response.file_descriptor_proto.length, 1);
  const extensions = await reflected('v1', { all_extension_numbers_of_type: 'samewise.v1.Column' });
  assert.deepEqual(extensions.all_extension_numbers_response.extension_number, []);
});

test('health tells whether the stores can be reached, and of each service', async () => {
  const client = clientOf('grpc/health/v1/health.proto', 'grpc.health.v1.Health');
  const check = async (service: string) => (await unary(client, 'check', { service })).status;
  assert.equal(await check(''), 'SERVING');
  assert.equal(await check('samewise.v1.FeatureService'), 'SERVING');
  await assert.rejects(check('nothing'), { code: status.NOT_FOUND });
  server.registry.before = () => {
    throw new Error('away');
  };
  assert.equal(await check(''), 'NOT_SERVING');
  const told: string[] = [];
  const watch = client.watch({ service: '' });
  const { promise: twice, resolve } = Promise.withResolvers<void>();
  watch.on('error', () => {});
  watch.on('data', (each: { status: string }) => {
    told.push(each.status);
    server.registry.before = () => {};
    if (told.length === 2) resolve();
  });
  await twice;
  watch.cancel();
  assert.deepEqual(told, ['NOT_SERVING', 'SERVING']);
  client.close();
});

test('errors have a code, a message and details; calls have ids', async () => {
  const client = clientOf('samewise/v1/features.proto', 'samewise.v1.FeatureService');
  const metadata = new Metadata();
  metadata.set('x-request-id', 'mine-7');
  const error: ServiceError = await unary(
    client,
    'getOnlineFeatures',
    { service: 'fraud', entities: [{ name: 'customer_id', longs: ['7'] }] },
    metadata,
  ).catch((error) => error);
  assert.equal(error.code, status.INVALID_ARGUMENT);
  assert.match(error.details, /request field amount/);
  assert.equal(error.metadata.get('x-request-id')[0], 'mine-7');
  const [bytes] = error.metadata.get('grpc-status-details-bin') as [Buffer];
  assert.ok(bytes.includes('serving/missing-field'));
  assert.ok(bytes.includes('google.rpc.ErrorInfo'));
  await assert.rejects(unary(client, 'getOnlineFeatures', { service: 'nothing' }), {
    code: status.NOT_FOUND,
  });
  client.close();
  const stranger = new Client(address, insecure);
  await new Promise<void>((resolve) => {
    stranger.makeUnaryRequest(
      '/samewise.v1.FeatureService/Nothing',
      (bytes: Buffer) => bytes,
      (bytes) => bytes,
      Buffer.alloc(0),
      (error) => {
        assert.equal(error?.code, status.UNIMPLEMENTED);
        resolve();
      },
    );
  });
  stranger.close();
});

test('the registry is told of', async () => {
  const client = clientOf('samewise/v1/registry.proto', 'samewise.v1.RegistryService');
  const { features } = await unary(client, 'searchFeatures', { query: 'spending', limit: 2 });
  assert.deepEqual(
    features.map(({ ref }: { ref: string }) => ref),
    ['spending:count_1d', 'spending:mean_7d'],
  );
  const { feature, lineage, definition_json } = await unary(client, 'getFeature', {
    ref: 'spending:mean_7d',
  });
  assert.equal(feature.dtype, 'float64');
  assert.equal(feature.owner, 'team');
  assert.equal(feature.version, 1);
  assert.deepEqual(lineage.sources, [{ source: 'payments', columns: ['amount'] }]);
  assert.deepEqual(lineage.used_by_features, ['context:amount_to_mean']);
  assert.deepEqual(lineage.used_by_services, ['fraud']);
  assert.equal(JSON.parse(definition_json).name, 'mean_7d');
  const { views } = await unary(client, 'listViews', {});
  assert.deepEqual(
    views.map(({ name }: { name: string }) => name),
    ['city_stats', 'context', 'delays', 'profile', 'spending'],
  );
  const { services } = await unary(client, 'listServices', {});
  const { service } = await unary(client, 'getService', { service: 'fraud' });
  assert.deepEqual(services, [service]);
  assert.deepEqual(service.keys, [{ name: 'customer_id', dtype: 'int64' }]);
  assert.deepEqual(service.request, [{ name: 'amount', dtype: 'float64' }]);
  assert.equal(service.features.length, 8);
  assert.equal(service.model, 'detector');
  for (const ref of ['spending:nothing', 'nothing:mean_7d'])
    await assert.rejects(unary(client, 'getFeature', { ref }), { code: status.NOT_FOUND });
  await assert.rejects(unary(client, 'getFeature', { ref: '' }), { code: status.INVALID_ARGUMENT });
  client.close();
});
