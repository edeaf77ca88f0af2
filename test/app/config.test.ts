import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readConfig } from '../../src/app/config.ts';

function project(config: string | null): string {
  const path = mkdtempSync(join(tmpdir(), 'samewise-config-'));
  if (config !== null) writeFileSync(join(path, 'samewise.config.json'), config);
  return path;
}

test('an empty configuration is the embedded stores under .samewise', () => {
  const path = project('{}');
  assert.deepEqual(readConfig(path, { SAMEWISE_AUTHOR: 'ada' }), {
    projectDir: path,
    definitions: join(path, 'features.ts'),
    registry: { kind: 'sqlite', path: join(path, '.samewise/registry.db') },
    online: { kind: 'lmdb', path: join(path, '.samewise/online') },
    offline: { kind: 'file', path: join(path, '.samewise/history') },
    stream: { kind: 'embedded', path: join(path, '.samewise/log'), partitions: 1 },
    schemas: null,
    samplingMs: 30_000,
    featureLog: { path: join(path, '.samewise/feature-log'), share: 0.001, days: 7 },
    stateDir: join(path, '.samewise'),
    tempDir: join(path, '.samewise/tmp'),
    author: 'ada',
  });
  rmSync(path, { recursive: true });
});

test('the file overrides defaults, the environment overrides the file', () => {
  const path = project('{ "online": "lmdb:pages", "definitions": "defs/all.ts" }');
  const config = readConfig(path, {
    SAMEWISE_ONLINE: 'lmdb:/srv/pages',
    SAMEWISE_REGISTRY: 'sqlite:r.db',
    SAMEWISE_FEATURE_LOG: 'none',
  });
  assert.equal(config.featureLog, null);
  assert.deepEqual(config.online, { kind: 'lmdb', path: '/srv/pages' });
  assert.deepEqual(config.registry, { kind: 'sqlite', path: join(path, 'r.db') });
  assert.equal(config.definitions, join(path, 'defs/all.ts'));
  rmSync(path, { recursive: true });
});

test('what is wrong is named', () => {
  const bad: [string | null, object][] = [
    [null, { code: 'app/no-project' }],
    ['{ "online": ', { code: 'app/bad-config' }],
    ['[]', { code: 'app/bad-config', message: 'it is not a JSON object' }],
    [
      '{ "onlin": "lmdb:x" }',
      { code: 'app/bad-config', hint: 'did you mean "online"?', message: /no setting "onlin"/ },
    ],
    ['{ "online": 3 }', { code: 'app/bad-config', message: /^online /, hint: /lmdb:<folder>/ }],
    ['{ "online": "redis:x" }', { code: 'app/bad-url', hint: /lmdb:<folder>/ }],
    ['{ "registry": "sqlite:" }', { code: 'app/bad-url' }],
    ...['.samewise/log', 'file:x?share=0', 'file:x?share=1.1', 'file:x?days=0', 'file:x?day=1'].map(
      (url): [string, object] => [
        JSON.stringify({ featureLog: url }),
        { code: 'app/bad-url', hint: /share=0.001/ },
      ],
    ),
    ['{ "schemas": "registry" }', { code: 'app/bad-url', hint: /schema registry/ }],
    ...[
      'kafka',
      'kafka:',
      'kafka:localhost',
      'kafka:user:secret@host:9092',
      'kafka:a:1,b',
      'rabbit:x',
      'embedded:log?partitions=0',
      'embedded:log?partition=2',
      'kinesis:eu west',
    ].map((url): [string, object] => [
      JSON.stringify({ stream: url }),
      { code: 'app/bad-url', hint: /kafka:<host>:<port>/, message: /^(?!.*secret)/ },
    ]),
  ];
  for (const [config, error] of bad) {
    const path = project(config);
    assert.throws(() => readConfig(path, {}), error);
    rmSync(path, { recursive: true });
  }
  const path = project('{}');
  assert.throws(() => readConfig(path, { SAMEWISE_OFFLINE: 's3' }), {
    code: 'app/bad-url',
    where: { field: 'SAMEWISE_OFFLINE' },
  });
  rmSync(path, { recursive: true });
});

test('an online store is named by its URL, and never with a password', () => {
  const path = project('{}');
  const at = (url: string) => readConfig(path, { SAMEWISE_ONLINE: url }).online;
  const redis = { kind: 'redis', tls: false, user: null, database: 0, namespace: 'sw' };
  const local = { host: 'localhost', port: 6379 };
  assert.deepEqual(at('redis://localhost'), { ...redis, nodes: [local] });
  assert.deepEqual(at('rediss://me@10.0.0.1:7000/3?namespace=a_b'), {
    ...redis,
    tls: true,
    user: 'me',
    database: 3,
    namespace: 'a_b',
    nodes: [{ host: '10.0.0.1', port: 7000 }],
  });
  assert.deepEqual(at('redis-cluster://localhost,[::1]:7001'), {
    ...redis,
    kind: 'redis-cluster',
    nodes: [local, { host: '::1', port: 7001 }],
  });
  for (const url of [
    'redis://me:secret@localhost',
    'redis://a,b',
    'redis-cluster://a:1/2',
    'redis://a:70000',
    'redis://a?namespace=a{b',
    'redis://a?prefix=a',
    'lmdb:',
  ])
    assert.throws(() => at(url), {
      code: 'app/bad-url',
      message: /^(?!.*secret)/,
      hint: /redis-cluster:/,
    });
  rmSync(path, { recursive: true });
});

test('an event log is named by its URL', () => {
  const path = project('{ "schemas": "http://localhost:8081" }');
  const at = (url: string) => readConfig(path, { SAMEWISE_STREAM: url }).stream;
  assert.deepEqual(at('embedded:/srv/log?partitions=4'), {
    kind: 'embedded',
    path: '/srv/log',
    partitions: 4,
  });
  assert.deepEqual(at('kafka:a:9092,b.example:9093'), {
    kind: 'kafka',
    brokers: ['a:9092', 'b.example:9093'],
  });
  assert.deepEqual(at('kinesis:eu-central-1'), {
    kind: 'kinesis',
    region: 'eu-central-1',
    endpoint: null,
  });
  assert.equal(readConfig(path, {}).schemas, 'http://localhost:8081');
  rmSync(path, { recursive: true });
});

test('pages are compared with history every half minute, or as the project says, or never', () => {
  const path = project('{}');
  const at = (sampling?: string) =>
    readConfig(path, sampling === undefined ? {} : { SAMEWISE_SAMPLING: sampling }).samplingMs;
  assert.deepEqual([at(), at('5m'), at('off')], [30_000, 300_000, null]);
  for (const bad of ['0', 'never', '-1s', ''])
    assert.throws(() => at(bad), { code: 'app/bad-config', hint: /30s/ }, bad);
  rmSync(path, { recursive: true });
});
