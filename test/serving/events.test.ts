/** What of a push is HTTP's business: types of bodies, waiting, refusals. What the rows say is the app's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverOver, source } from './support.ts';

const URL = '/api/v1/events/events';

test('a body of events is handed on as it came', async () => {
  const { app, pushed } = await serverOver([source('events', {})]);
  const push = (type: string, payload: string, query = '') =>
    app.inject({ method: 'POST', url: URL + query, headers: { 'content-type': type }, payload });

  const durable = await push('application/json; charset=utf-8', '[{"id": 9007199254740993}]');
  assert.equal(durable.statusCode, 202);
  assert.deepEqual(durable.json(), { source: 'events', rows: 1, state: 'durable' });
  const applied = await push('application/x-ndjson', '{"id": 1}\n{"id": 2}', '?wait=applied');
  assert.equal(applied.statusCode, 200);
  assert.equal(applied.json().state, 'applied');
  await push('application/vnd.apache.arrow.stream', 'ARROW1', '?wait=durable');
  assert.deepEqual(pushed, [
    { contentType: 'application/json', text: '[{"id": 9007199254740993}]' },
    { contentType: 'application/x-ndjson', text: '{"id": 1}\n{"id": 2}' },
    { contentType: 'application/vnd.apache.arrow.stream', text: 'ARROW1' },
  ]);

  const refused = async (type: string, query: string, status: number, code: string) => {
    const answer = await push(type, '{}', query);
    assert.deepEqual([answer.statusCode, answer.json().error.code], [status, code]);
  };
  await refused('text/csv', '', 415, 'serving/unsupported-media-type');
  await refused('application/json', '?wait=long', 400, 'serving/bad-field');
  await refused('application/json', '?wiat=applied', 400, 'serving/unknown-field');
  const unknown = await app.inject({
    method: 'POST',
    url: '/api/v1/events/evnts',
    headers: { 'content-type': 'application/json' },
    payload: '{}',
  });
  assert.equal(unknown.statusCode, 404);
  const large = await push('application/json', ' '.repeat(17 << 20));
  assert.deepEqual([large.statusCode, large.json().error.code], [413, 'serving/body-too-large']);
  await app.close();
});
