/** gRPC, gRPC-web and Connect against what REST answers: the same values, bit for bit, statuses, event times, types and errors. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ConnectError } from '@connectrpc/connect';
import { codeToHttpStatus } from '@connectrpc/connect/protocol-connect';
import { parseInstant } from '../../../src/base/time.ts';
import { ErrorInfoSchema } from '../../../src/serving/grpc/gen/google/rpc/error_details_pb.ts';
import type { GetOnlineFeaturesResponse } from '../../../src/serving/grpc/gen/samewise/v1/features_pb.ts';
import { parseDtype } from '../../../src/types/dtype.ts';
import { scalarFromJson } from '../../../src/types/json.ts';
import { sameScalar } from '../../../src/types/scalar.ts';
import {
  type ConformanceCase,
  conformance,
  conformanceText,
  madeConformance,
} from '../conformance/cases.ts';
import { conformanceServer } from '../conformance/world.ts';
import { columnsOf, featureClient, statusesOf, transports, typeOf, valuesOf } from './support.ts';

const { cases, types } = conformance();
let server: Awaited<ReturnType<typeof conformanceServer>>;
let url: string;
before(async () => {
  server = await conformanceServer();
  url = await server.app.listen({ port: 0, host: '127.0.0.1' });
});
after(() => server.app.close());

test('REST answers as the file says', async () => {
  const made = (await madeConformance()).split('\n');
  conformanceText()
    .split('\n')
    .forEach((line, i) => {
      assert.ok(made[i] === line, `line ${i + 1} of the file: ${line.slice(0, 60)}`);
    });
});

function check(answer: GetOnlineFeaturesResponse, { answer: expected, service }: ConformanceCase) {
  const name = service.split('@')[0]!;
  assert.equal(answer.service, name);
  assert.equal(answer.version, expected.version);
  assert.equal(Number(answer.atUs), parseInstant(expected.at));
  assert.equal(answer.partial, false);
  assert.deepEqual(
    answer.columns.map((column) => column.name),
    Object.keys(expected.columns),
  );
  for (const column of answer.columns) {
    const dtype = types[name]!.features[column.name]!;
    assert.equal(typeOf(column), dtype, column.name);
    const want = expected.columns[column.name]!.map((value) =>
      scalarFromJson(value, parseDtype(dtype), {}),
    );
    const got = valuesOf(column);
    assert.equal(got.length, answer.rows);
    got.forEach((value, row) => {
      assert.ok(
        sameScalar(value, want[row]!),
        `${column.name}[${row}]: ${value} is not ${want[row]}`,
      );
    });
    assert.deepEqual(statusesOf(column, answer.rows), expected.statuses[column.name], column.name);
    const times = expected.event_times[column.name]!;
    const us = answer.eventTimes[column.eventTimes - 1];
    times.forEach((time, row) => {
      const none = us === undefined || ((us.nulls[row >> 3]! >> (row & 7)) & 1) === 1;
      assert.equal(none, time === null, `${column.name}[${row}]`);
      if (time !== null) assert.equal(Number(us!.us[row]), parseInstant(time));
    });
  }
}

test('every protocol answers as REST does', async (t) => {
  for (const [protocol, transport] of Object.entries(transports(url))) {
    await t.test(protocol, async () => {
      const client = featureClient(transport);
      for (const each of cases) {
        const { name, service, request, answer: expected } = each;
        const inputs = types[service.split('@')[0]!]?.inputs ?? {};
        const asked = {
          what: { case: 'service', value: service },
          entities: columnsOf(request.entities, inputs),
          atUs: BigInt(parseInstant(request.at!)),
          through: request.through ?? false,
          eventTimes: true,
        } as const;
        const answer = await client.getOnlineFeatures(asked).catch((error) => error as unknown);
        if (expected.error === undefined) {
          if (answer instanceof Error) throw answer;
          check(answer as GetOnlineFeaturesResponse, each);
          continue;
        }
        assert.ok(answer instanceof ConnectError, name);
        const [info] = answer.findDetails(ErrorInfoSchema);
        assert.equal(info!.reason, expected.error.code, name);
        assert.equal(codeToHttpStatus(answer.code), each.status, name);
        assert.equal(info!.domain, 'samewise');
        assert.match(info!.metadata.field!, /^(service|entities)/);
      }
    });
  }
});

test('a stream says the same as one answer, in pieces, as of one time', async () => {
  const { grpc, 'connect, HTTP/1.1': connect } = transports(url);
  const rows = 2_345;
  const entities = columnsOf(
    Array.from({ length: rows }, (_, i) => ({ id: (i % 9) - 5, kind: 'ab'[i % 2] })),
    types.all!.inputs,
  );
  const request = { what: { case: 'service', value: 'all' }, entities, eventTimes: true } as const;
  const whole = await featureClient(grpc!).getOnlineFeatures(request);
  for (const transport of [grpc!, connect!]) {
    const pieces: GetOnlineFeaturesResponse[] = [];
    for await (const { response } of featureClient(transport).streamOnlineFeatures({ request }))
      pieces.push(response!);
    assert.deepEqual(
      pieces.map((piece) => piece.rows),
      [1_000, 1_000, 345],
    );
    assert.deepEqual(new Set(pieces.map(({ atUs }) => atUs)), new Set([whole.atUs]));
    whole.columns.forEach((column, i) => {
      const values = pieces.flatMap((piece) => valuesOf(piece.columns[i]!));
      assert.equal(values.length, rows);
      valuesOf(column).forEach((value, row) => {
        assert.ok(sameScalar(values[row]!, value), `${column.name}[${row}]`);
      });
      const statuses = pieces.flatMap((piece) => statusesOf(piece.columns[i]!, piece.rows));
      assert.deepEqual(statuses, statusesOf(column, rows), column.name);
    });
  }
});

test('features of an entity by name are those that REST reads', async () => {
  const names = ['things:whole', 'real', 'last_text'];
  const rest = await server.app.inject(
    `/api/v1/features/online?entity=thing&id=1&id=a&features=${names.join()}`,
  );
  const expected = rest.json() as { features: Record<string, unknown> };
  for (const transport of Object.values(transports(url))) {
    const answer = await featureClient(transport).getOnlineFeatures({
      what: { case: 'features', value: { entity: 'thing', names } },
      entities: columnsOf([{ id: 1, kind: 'a' }], types.all!.inputs),
    });
    assert.equal(answer.service, '');
    assert.equal(answer.version, 0);
    assert.deepEqual(
      answer.columns.map(({ name }) => name),
      names,
    );
    const [, real, text] = answer.columns.map((column) => valuesOf(column)[0]);
    assert.deepEqual([real, text], [expected.features.real, expected.features.last_text]);
    assert.deepEqual(answer.eventTimes, [], 'event times only for whom asks');
  }
});
