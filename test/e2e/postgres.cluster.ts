/** `samewise serve --workers` on a registry in PostgreSQL: every process follows it, and serves on while it is away. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { newDatabase, until } from '../registry/postgres_database.ts';
import { ownServer } from '../stream/servers.ts';
import { ask } from './load.ts';
import { edit, json, run, scaffolded, start, temporary } from './support.ts';

const AT = '2024-03-20T12:00:00Z';
const VECTOR = { entities: [{ customer_id: 1, amount: 25 }], at: AT, full: true };

const database = await ownServer('postgres');
const { folder, remove } = temporary();
after(async () => {
  remove();
  await database.down();
});

test('all processes follow the registry, and serve without it', {
  skip: database.skip,
}, async (t) => {
  const project = await scaffolded(folder, false);
  const registry = await newDatabase(database.at);
  edit(project, 'samewise.config.json', '{', `{\n  "registry": ${JSON.stringify(registry)},`);
  await json(project, 'apply', '--yes');
  await json(project, 'materialize');
  const server = start(project, ['serve', '--workers', '2', '--port', '0', '--json']);
  t.after(() => server.kill('SIGKILL'));
  server.stderr!.resume();
  let said = '';
  for await (const chunk of server.stdout!) {
    said += chunk;
    if (said.trimEnd().endsWith('}')) break;
  }
  const { url } = JSON.parse(said);
  const get = (path: string) => ask(new URL(path, url));
  const vector = (service: string) =>
    ask(new URL(`/api/v1/services/${service}/vectors`, url), JSON.stringify(VECTOR));
  await until('it is ready', async () => (await get('/readyz')) === '{"status":"ok"}');
  const expected = await vector('fraud_v1');
  assert.match(expected, /PRESENT/);
  /** What each of the processes says. */
  const told = async (metric: string, value: number) => {
    const text = await get('/metrics');
    return ['1', '2'].every((worker) => text.includes(`${metric}{worker="${worker}"} ${value}`));
  };
  await until('all know the revision', () => told('samewise_registry_revision', 1));

  edit(project, 'features.ts', "name: 'fraud_v1'", "name: 'fraud_v2'");
  await json(project, 'apply', '--yes');
  await until('all follow', () => told('samewise_registry_revision', 2));
  // Of several connections each may come to another process.
  for (let i = 0; i < 10; i++) assert.match(await vector('fraud_v2'), /PRESENT/);

  await database.crash();
  await until('all have noticed', () => told('samewise_registry_connected', 0));
  for (let i = 0; i < 10; i++) assert.equal(await vector('fraud_v2'), await vector('fraud_v2'));
  assert.equal(await get('/readyz'), '{"status":"ok"}');
  edit(project, 'features.ts', "name: 'fraud_v2'", "name: 'fraud_v3'");
  const refused = await run(project, 'apply', '--yes');
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr + refused.stdout, /registry\/unreachable/);

  await database.up();
  await until('all are back', () => told('samewise_registry_connected', 1));
  await json(project, 'apply', '--yes');
  await until('all follow', () => told('samewise_registry_revision', 3));
  for (let i = 0; i < 10; i++) assert.match(await vector('fraud_v3'), /PRESENT/);
});
