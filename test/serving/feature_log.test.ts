/** The feature log of a server: which vectors it takes, what it says of them, and that serving never waits for it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import type { LoggedVector } from '../../src/offline/feature_log_contract.ts';
import { FeatureLog } from '../../src/serving/index.ts';
import { RequestIds } from '../../src/serving/request_ids.ts';
import { cases } from '../support/cases.ts';
import { memoryOnline, NOW_US, serverOver } from './support.ts';
import { DEFINITIONS, fill } from './world.ts';

/** A log whose files are an array; `append` may be made to fail or to wait. */
function logged(share: number, random: () => number = Math.random) {
  const written: LoggedVector[] = [];
  const failures: unknown[] = [];
  const here = {
    written,
    failures,
    append: async (vectors: readonly LoggedVector[]) => {
      written.push(...vectors);
      return vectors.length;
    },
    log: null as unknown as FeatureLog,
  };
  here.log = new FeatureLog({
    files: { append: (vectors) => here.append(vectors) },
    share,
    random,
    requestIds: new RequestIds('p'),
    onFailure: (error) => failures.push(error),
  });
  return here;
}

const VECTOR: LoggedVector = {
  requestId: 'r',
  row: 0,
  servedUs: 1,
  readUs: 1,
  service: null,
  inputs: '{}',
  features: [],
  refs: [],
  values: [],
  statuses: [],
  pages: [],
};

test('vectors are chosen one by one, as if each were drawn for itself, however they are asked for', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 30 }),
      fc.integer({ min: 0 }),
      (share, sizes, seed) => {
        const random = () => {
          let state = seed;
          return () => {
            state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
            return state / 2 ** 32;
          };
        };
        const many = logged(share, random()).log;
        const single = logged(share, random()).log;
        for (const size of sizes) {
          const one = Array.from({ length: size }, (_, i) => i).filter(
            () => single.choose(1).length > 0,
          );
          assert.deepEqual(many.choose(size), one);
        }
      },
    ),
    { numRuns: cases(300) },
  );
  const { log } = logged(0.1);
  const share = log.choose(200_000).length / 200_000;
  assert.ok(share > 0.09 && share < 0.11, String(share));
  assert.equal(logged(1).log.choose(5).length, 5);
});

test('what does not fit is dropped and counted; a failure is told once and tried again', async () => {
  const here = logged(1);
  const append = here.append;
  here.append = () => Promise.reject(new Error('the disk is full'));
  for (let i = 0; i < 60_000; i++) here.log.add(VECTOR);
  await here.log.flush();
  await here.log.flush();
  const { counts } = here.log;
  assert.equal(here.failures.length, 1);
  assert.deepEqual([counts.logged, counts.dropped], [0, 10_000]);
  assert.ok(counts.failures >= 2);
  here.append = append;
  await here.log.close();
  assert.deepEqual([counts.logged, counts.dropped, here.written.length], [50_000, 10_000, 50_000]);
  const huge = { ...VECTOR, inputs: 'x'.repeat(20 << 20) };
  here.append = () => Promise.reject(new Error('the disk is full'));
  for (let i = 0; i < 10; i++) here.log.add(huge);
  await here.log.close();
  assert.deepEqual(
    [here.failures.length, counts.dropped],
    [2, 10_010],
    'none is kept after the end',
  );
});

test('vectors that come while a file is written are in a later one', async () => {
  const here = logged(1);
  const append = here.append;
  let release = () => {};
  here.append = async (vectors) => {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return append(vectors);
  };
  here.log.add(VECTOR);
  const first = here.log.flush();
  here.log.add({ ...VECTOR, row: 1 });
  here.append = append;
  release();
  await first;
  await here.log.close();
  assert.deepEqual(
    here.written.map(({ row }) => row),
    [0, 1],
  );
});

const everything = logged(1);
const online = memoryOnline();
let server: Awaited<ReturnType<typeof serverOver>>;
let url = '';
before(async () => {
  const options = { online, featureLog: everything.log, refreshMs: 60_000 };
  server = await serverOver(DEFINITIONS, options);
  url = await server.app.listen({ port: 0, host: '127.0.0.1' });
  await fill(online);
});
after(() => server.app.close());

async function written(ask: () => Promise<unknown>): Promise<LoggedVector[]> {
  everything.written.length = 0;
  await ask();
  await everything.log.flush();
  return [...everything.written];
}

test('an answer is logged as it was given, whichever way it took', async () => {
  const path =
    '/api/v1/features/online?entity=customer&id=7&features=spending:note,count_1d,spending:last_3';
  const answers: string[] = [];
  const fast = () => fetch(url + path, { headers: { 'x-request-id': 'abc' } });
  const vectors = await written(async () => {
    for (let i = 0; i < 3; i++) answers.push(await (await fast()).text());
    answers.push((await server.app.inject({ url: path })).body);
  });
  assert.equal(new Set(answers).size, 1);
  const { features, statuses } = JSON.parse(answers[0]!);
  assert.equal(vectors.length, 4);
  for (const vector of vectors) {
    assert.deepEqual(
      vector.values.map((value) => JSON.parse(value)),
      Object.values(features),
    );
    assert.deepEqual(vector.statuses, Object.values(statuses));
    assert.deepEqual(vector.refs, ['spending:note', 'spending:count_1d', 'spending:last_3']);
    assert.deepEqual([vector.service, vector.inputs], [null, '{"customer_id":7}']);
    assert.deepEqual([vector.readUs, vector.servedUs], [NOW_US, NOW_US]);
    const [page] = vector.pages;
    assert.deepEqual([page!.view, page!.positions], ['spending', {}]);
  }
  assert.deepEqual(
    vectors.map(({ requestId }) => requestId.startsWith('r-')),
    [false, false, false, true],
  );
});

test('a service: each entity is a vector, with the data of its request and all its pages', async () => {
  const { app } = server;
  const payload = {
    entities: [
      { customer_id: 7, amount: 3 },
      { customer_id: 404, amount: null },
    ],
    at: '2024-03-09T00:00:00Z',
    through: true,
  };
  const vectors = await written(async () => {
    const answer = await app.inject({
      method: 'POST',
      url: '/api/v1/services/fraud/vectors',
      payload,
    });
    assert.equal(answer.statusCode, 200, answer.body);
  });
  assert.equal(new Set(vectors.map(({ requestId }) => requestId)).size, 1);
  assert.deepEqual(
    vectors.map(({ row, inputs, service }) => [row, JSON.parse(inputs), service?.name]),
    payload.entities.map((entity, row) => [row, entity, 'fraud']),
  );
  const [known, unknown] = vectors;
  assert.equal(known!.readUs, NOW_US - 86_400_000_000 + 1);
  assert.ok(known!.pages.length > 1 && known!.pages.every(({ key }) => key !== null));
  assert.ok(unknown!.pages.every(({ positions }) => positions === null));
  assert.ok(
    unknown!.pages.some(({ key }) => key === null),
    'looked up by what is not known',
  );
});

test('a request that is refused leaves nothing', async () => {
  const vectors = await written(async () => {
    const path = '/api/v1/features/online?entity=customer&id=7&features=nothing';
    assert.equal((await fetch(url + path)).status, 404);
  });
  assert.deepEqual(vectors, []);
});
