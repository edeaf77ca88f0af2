/** The OpenAPI document is valid, complete, and true of what the server answers. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { serverOver } from './support.ts';
import { DEFINITIONS, fill } from './world.ts';

let server: Awaited<ReturnType<typeof serverOver>>;
let document: any;
before(async () => {
  server = await serverOver(DEFINITIONS);
  await fill(server.online);
  document = (await server.app.inject('/openapi.json')).json();
});
after(() => server.app.close());

function operations(): { path: string; method: string; operation: any }[] {
  return Object.entries<any>(document.paths).flatMap(([path, methods]) =>
    Object.entries<any>(methods).map(([method, operation]) => ({ path, method, operation })),
  );
}

test('it is valid OpenAPI', async () => {
  const result = await new Validator().validate(structuredClone(document));
  assert.deepEqual([result.valid, result.errors], [true, undefined]);
});

test('every route is in it, with what a reader needs', () => {
  assert.deepEqual(
    operations()
      .map(({ path, method }) => `${method} ${path}`)
      .sort(),
    [
      'get /api/v1/explain',
      'get /api/v1/features',
      'get /api/v1/features/online',
      'get /api/v1/features/{view}/{feature}',
      'get /api/v1/services',
      'get /api/v1/training/{id}',
      'get /health',
      'get /healthz',
      'get /metrics',
      'get /readyz',
      'post /api/v1/events/{source}',
      'post /api/v1/features',
      'post /api/v1/features/offline',
      'post /api/v1/features/vectors',
      'post /api/v1/services/{service}/vectors',
      'post /api/v1/training',
      'post /get-online-features',
      'post /materialize',
      'post /materialize-incremental',
      'post /push',
      'post /search',
      'post /write-to-online-store',
    ],
  );
  const ids = new Set<string>();
  for (const { path, operation } of operations()) {
    assert.ok(operation.summary && operation.description, path);
    ids.add(operation.operationId);
    for (const parameter of operation.parameters ?? [])
      assert.ok(parameter.description ?? parameter.schema.description, `${path} ${parameter.name}`);
    if (operation.requestBody !== undefined)
      assert.match(JSON.stringify(operation.requestBody), /"examples?":/, path);
    assert.match(JSON.stringify([operation.parameters, operation.responses]), /"examples?":/, path);
    assert.ok(operation.responses['4xx'] ?? operation.responses['4XX'], path);
  }
  assert.equal(ids.size, operations().length);
});

test('answers are as it says', async () => {
  const requests: [string, 'GET' | 'POST', string, object?][] = [
    [
      '/api/v1/features/online',
      'GET',
      '/api/v1/features/online?entity=customer&id=7&features=last_3,total',
    ],
    [
      '/api/v1/features/online',
      'GET',
      '/api/v1/features/online?entity=customer&id=404&features=mean_7d',
    ],
    ['/api/v1/features', 'GET', '/api/v1/features?q=mean'],
    ['/api/v1/features/{view}/{feature}', 'GET', '/api/v1/features/spending/mean_7d'],
    ['/api/v1/features/{view}/{feature}', 'GET', '/api/v1/features/context/amount_to_mean'],
    ['/api/v1/features/{view}/{feature}', 'GET', '/api/v1/features/context/nothing'],
    ['/api/v1/services', 'GET', '/api/v1/services'],
    ['/healthz', 'GET', '/healthz'],
    ['/readyz', 'GET', '/readyz'],
    ...['rows', 'columns'].map((orientation): [string, 'POST', string, object] => [
      '/api/v1/services/{service}/vectors',
      'POST',
      '/api/v1/services/fraud/vectors',
      { entities: [{ customer_id: 7, amount: 1 }], full: true, orientation },
    ]),
    [
      '/api/v1/features/offline',
      'POST',
      '/api/v1/features/offline',
      { entity: 'customer', features: ['total'], entity_df: 'a.csv', timestamp_column: 'at' },
    ],
  ];
  const ajv = new Ajv2020({ strict: false });
  for (const [path, method, url, payload] of requests) {
    const response = await server.app.inject({ method, url, ...(payload ? { payload } : {}) });
    const { responses } = document.paths[path][method.toLowerCase()];
    const described = responses[response.statusCode] ?? responses['4XX'];
    const validate = ajv.compile(described.content['application/json'].schema);
    assert.ok(validate(response.json()), `${url}: ${ajv.errorsText(validate.errors)}`);
  }
});
