/** Plain reads over a socket are answered ahead of the framework; the route behind, which `inject` asks, says the same. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { US_PER_HOUR } from '../../src/base/time.ts';
import { plainQuery } from '../../src/serving/online_door.ts';
import { JSON_TYPE } from '../../src/serving/schemas.ts';
import { cases } from '../support/cases.ts';
import { materialize, memoryOnline, NOW_US, serverOver } from './support.ts';
import { DEFINITIONS, fill, PAYMENTS } from './world.ts';

type Server = Awaited<ReturnType<typeof serverOver>>;
/** Over a store that answers later, and over one that answers at once. */
const servers: { server: Server; url: string }[] = [];
const online = memoryOnline();
before(async () => {
  const name = ({ view, key }: { view: string; key: Uint8Array }) => `${view}/${key.toHex()}`;
  const atOnce = {
    ...online,
    heads: (keys: Parameters<typeof online.heads>[0]) =>
      keys.map((key) => online.pages.get(name(key))?.head),
    versions: (keys: Parameters<typeof online.heads>[0]) =>
      keys.map((key) => online.pages.get(name(key))?.head.version ?? 0),
  };
  for (const store of [online, atOnce]) {
    // Within the time of a refresh the revision is at hand, as the fast way wants it.
    const server = await serverOver(DEFINITIONS, { online: store, refreshMs: 60_000 });
    servers.push({ server, url: await server.app.listen({ port: 0, host: '127.0.0.1' }) });
  }
  await fill(online);
});
after(() => Promise.all(servers.map(({ server }) => server.app.close())));

const FEATURES = ['count_1d', 'spending:mean_7d', 'note', 'profile:city', 'last_3', 'last_ticket'];
const field = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('entity=customer', 'id=7', 'id=8', 'id=404') },
  {
    weight: 4,
    arbitrary: fc.subarray(FEATURES, { minLength: 1 }).map((names) => `features=${names}`),
  },
  fc.constantFrom('id=', 'id=x', 'entity=route', 'entity=', 'features=', 'features=nothing', 'id'),
  fc.constantFrom('id=%37', 'id=7+', 'at=2024-03-09', 'features=%6eote', 'other=1', '', 'id=7#x'),
  fc.constantFrom('features=,note,,note', 'features=note:', 'Id=7', 'id=7=', 'entity=customer '),
);
const query = fc
  .oneof(
    fc
      .tuple(
        fc.constantFrom('7', '8', '404', '-1', 'x', '7+', '%37'),
        fc.subarray([...FEATURES, '%6eote'], { minLength: 1 }),
      )
      .map(([id, names]) => ['entity=customer', `id=${id}`, `features=${names}`]),
    fc
      .constantFrom(
        'Berlin',
        'Z%C3%BCrich',
        'Z\u00fcrich',
        'Ber+lin',
        '%',
        '%zz',
        'a/b',
        'a;b',
        "a'b",
      )
      .map((id) => ['entity=city', `id=${id}`, 'features=city_mean']),
    fc.array(field, { maxLength: 5 }),
  )
  .chain((fields) => fc.shuffledSubarray(fields, { minLength: fields.length }));

/** A refusal names the request. */
const headers = { 'x-request-id': 'one' };

test('the fast way and the route give the same answer to every query', async () => {
  await fc.assert(
    fc.asyncProperty(query, async (fields) => {
      const path = `/api/v1/features/online?${fields.join('&')}`;
      for (const { server, url } of servers) {
        const slow = await server.app.inject({ url: path, headers });
        const fast = await fetch(url + path, { headers });
        assert.equal(await fast.text(), slow.body);
        assert.equal(fast.status, slow.statusCode);
        for (const name of ['content-type', 'content-length', 'x-request-id'])
          assert.equal(fast.headers.get(name), String(slow.headers[name]));
      }
    }),
    { numRuns: cases(200) },
  );
});

/** Pages of the world as it was after each payment, so that one may take the place of another. */
async function worlds(): Promise<ReturnType<typeof memoryOnline>[]> {
  const all = await Array.fromAsync(PAYMENTS, async (_, i) => {
    const online = memoryOnline();
    for (const view of ['spending', 'profile'])
      await materialize(online, DEFINITIONS, view, PAYMENTS.slice(0, i));
    return online;
  });
  return all;
}

/** A request, as `fetch` and `inject` both take it. */
interface Asked {
  readonly url: string;
  readonly body?: string;
}

const get = (id: string, features: string): Asked => ({
  url: `/api/v1/features/online?entity=customer&id=${id}&features=${features}`,
});
const feast = (ids: readonly number[], features: readonly string[]): Asked => ({
  url: '/get-online-features',
  body: JSON.stringify({ entities: { customer_id: ids, amount: ids }, features }),
});
const FEAST_REFS = ['spending:count_1d', 'spending:note', 'profile:city', 'context:amount_to_mean'];

test('an answer that was remembered is the one that the route gives, whatever changed since', async () => {
  const { server, url } = servers[1]!;
  const { clock } = server;
  const others = await worlds();
  const kept = new Map(online.pages);
  let version = 100;
  const request = fc.oneof(
    fc
      .tuple(fc.constantFrom('7', '9', '404'), fc.constantFrom(...FEATURES))
      .map(([id, features]) => get(id, features)),
    fc
      .tuple(
        fc.array(fc.constantFrom(7, 9, 404), { maxLength: 3 }),
        fc.subarray(FEAST_REFS, { minLength: 1 }),
      )
      .map(([ids, features]) => feast(ids, features)),
  );
  const step = fc.oneof(
    fc.record({ hours: fc.constantFrom(-48, -24, -11, -10.5, 0, 12, 13, 24, 24 * 7) }),
    fc.record({ world: fc.nat({ max: others.length - 1 }) }),
    fc.record({ request }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const asked = [feast([7], ['spending:count_1d']), get('7', 'count_1d,profile:note')];
      for (const each of steps) {
        if ('hours' in each) clock.advanceUs(NOW_US + each.hours * US_PER_HOUR - clock.nowUs());
        else if ('world' in each) {
          online.pages.clear();
          for (const [page, { head, blocks }] of others[each.world]!.pages)
            online.pages.set(page, { head: { ...head, version: ++version }, blocks });
        } else asked.push(each.request);
        for (const { url: path, body } of asked.slice(-2)) {
          const method = body === undefined ? 'GET' : 'POST';
          const type = body === undefined ? headers : { ...headers, 'content-type': JSON_TYPE };
          const slow = await server.app.inject({
            method,
            url: path,
            headers: type,
            ...(body !== undefined && { payload: body }),
          });
          const fast = await fetch(url + path, { method, headers: type, body: body ?? null });
          assert.equal(await fast.text(), slow.body);
        }
      }
    }),
    { numRuns: cases(100) },
  );
  online.pages.clear();
  for (const [page, value] of kept) online.pages.set(page, value);
});

test('plain queries, in any order of their fields, are those answered fast', () => {
  const plain = { entity: 'user', id: 'user_1', features: 'a:b,c' };
  for (const text of [
    'entity=user&id=user_1&features=a:b,c',
    'features=a:b,c&entity=user&id=user_1',
  ])
    assert.deepEqual(plainQuery(`/api/v1/features/online?${text}`), plain);
  for (const text of [
    'entity=user&id=%31&features=a',
    'entity=user&id=1&id=2&features=a',
    'entity=user&id=&id=2&features=a',
    'entity=user&id=1&features=a&at=1',
    'entity=user&id=1',
    `entity=user&id=${'1'.repeat(8193)}&features=a`,
  ])
    assert.equal(plainQuery(`/api/v1/features/online?${text}`), null, text);
  assert.equal(plainQuery('/api/v1/features?entity=user&id=1&features=a'), null);
});

test('fast answers are counted like others', async () => {
  const { server, url } = servers[1]!;
  const count = async () => {
    const { body } = await server.app.inject({ url: '/metrics' });
    const line =
      /duration_seconds_count\{route="\/api\/v1\/features\/online",status="200"\} (\d+)/.exec(body);
    return Number(line?.[1] ?? 0);
  };
  const before = await count();
  const response = await fetch(
    `${url}/api/v1/features/online?entity=customer&id=7&features=count_1d`,
  );
  assert.equal(response.status, 200);
  assert.equal(await count(), before + 1);
});
