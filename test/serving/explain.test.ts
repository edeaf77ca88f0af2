/** What `GET /api/v1/explain` asks for, and what it refuses. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serverOver } from './support.ts';
import { DEFINITIONS } from './world.ts';

type Server = Awaited<ReturnType<typeof serverOver>>;
let server: Server;
before(async () => {
  server = await serverOver(DEFINITIONS, {
    explain: async ({ given, ...request }) => {
      const texts = Object.entries(given).map(([name, value]) => [name, String(value)]);
      return { ...request, given: Object.fromEntries(texts) };
    },
  });
});
after(() => server.app.close());

const ask = (query: Record<string, string>) => server.app.inject({ url: '/api/v1/explain', query });

test('a feature of an entity, by its full or its bare name', async () => {
  const at = '2024-03-01T00:00:00Z';
  for (const feature of ['spending:mean_7d', 'mean_7d']) {
    const answer = await ask({ feature, entity: 'customer', id: '7', at, events: '5' });
    assert.equal(answer.statusCode, 200, answer.body);
    assert.deepEqual(answer.json(), {
      feature: 'spending:mean_7d',
      service: null,
      given: { customer_id: '7' },
      atUs: Date.parse(at) * 1000,
      through: false,
      events: 5,
    });
  }
});

test('an output of a service, of what a request would give', async () => {
  const inputs = '{"customer_id":9007199254740993,"amount":25.5}';
  const answer = await ask({
    feature: 'amount_to_mean',
    service: 'fraud',
    inputs,
    through: 'true',
  });
  assert.equal(answer.statusCode, 200, answer.body);
  const { service, through, feature, given } = answer.json();
  assert.deepEqual([service, through, feature], ['fraud', true, 'amount_to_mean']);
  assert.deepEqual(given, { customer_id: '9007199254740993', amount: '25.5' });
});

test('what makes no sense is refused with a code', async () => {
  const refused: [Record<string, string>, string][] = [
    [{}, 'serving/missing-field'],
    [{ feature: 'spending:mean_7d', entity: 'customer' }, 'serving/missing-field'],
    [{ feature: 'spending:mean_7d', id: '7' }, 'serving/missing-field'],
    [{ feature: 'meen_7d', entity: 'customer', id: '7' }, 'serving/unknown-feature'],
    [{ feature: 'mean_7d', entity: 'customer', id: 'seven' }, 'types/wrong-type'],
    [{ feature: 'x', service: 'fraud', entity: 'customer', id: '7' }, 'serving/bad-field'],
    [{ feature: 'x', service: 'fraud', inputs: '[7]' }, 'serving/bad-field'],
    [{ feature: 'x', service: 'fraud', inputs: '{' }, 'serving/malformed-json'],
    [{ feature: 'x', events: '9999' }, 'serving/bad-field'],
    [{ feature: 'x', events: '-1' }, 'serving/bad-field'],
    [{ feature: 'x', at: 'yesterday' }, 'time/unreadable'],
    [{ feature: 'x', surprise: '1' }, 'serving/unknown-field'],
  ];
  for (const [query, code] of refused) {
    const answer = await ask(query);
    assert.ok(answer.statusCode >= 400 && answer.statusCode < 500, answer.body);
    assert.equal(answer.json().error.code, code, JSON.stringify(query));
  }
});
