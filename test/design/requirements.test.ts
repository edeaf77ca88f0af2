/** What is wrong with requirements is said with its line, its field and what to do. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { readConfig } from '../../src/app/config.ts';
import { SamewiseError } from '../../src/base/errors.ts';
import {
  DEFAULT_DEPLOYMENT,
  kubernetesOf,
  readRequirements,
  starter,
} from '../../src/design/index.ts';

const ROOT = join(import.meta.dirname, '../..');
const FRAUD = readFileSync(join(ROOT, 'examples/design/fraud.yaml'), 'utf8');

function refusal(text: string): SamewiseError {
  try {
    readRequirements(text, 'fraud.yaml');
  } catch (error) {
    if (error instanceof SamewiseError) return error;
    throw error;
  }
  throw new Error('it is taken');
}

/** [what stands there, what is written instead, the code, the field, a part of the hint]. */
const MISTAKES: [from: string, to: string, code: string, field: string, hint: string][] = [
  ['from: kafka', 'from: kafak', 'bad-field', 'sources.payments.from', 'one of kafka'],
  [
    'amount: float64\n      country',
    'amount: flaot64\n      country',
    'bad-field',
    'sources.payments.columns.amount',
    'use one of',
  ],
  ['requests: 50k', 'requests: many', 'bad-field', 'serving.requests', 'k, M, B or T'],
  ['p99: 10ms', 'p99: 10', 'bad-field', 'serving.p99', '500ms'],
  ['skew: 0.8', 'skw: 0.8', 'bad-field', 'entities.customer.skw', 'did you mean "skew"'],
  [
    'sum(amount)',
    'sum(amonut)',
    'unknown-name',
    'features.customer_now.aggregates',
    'did you mean "amount"',
  ],
  [
    'sum(amount)',
    'total(amount)',
    'bad-field',
    'features.customer_now.aggregates.1',
    'count, or sum',
  ],
  [
    'windows: [7d, 30d]',
    'windows: [7d, 36h]',
    'contradiction',
    'features.customer_days.windows',
    'days',
  ],
  ['    rows: 120M\n', '', 'contradiction', 'sources.accounts', 'primary key'],
  [
    'columns: [segment',
    'windows: [1d]\n    columns: [segment',
    'contradiction',
    'features.account.windows',
    'remove windows',
  ],
  [
    'customer_days.avg_amount_30d',
    'customer_days.avg_amount_31d',
    'unknown-name',
    'context.ratios.amount_to_mean.to',
    'did you mean "avg_amount_30d"',
  ],
  ['within: 4h', 'within: 40h', 'contradiction', 'training.within', 'shorter'],
  [
    'entity: merchant\n',
    'entity: merchnat\n',
    'unknown-name',
    'features.merchant_now.entity',
    'did you mean "merchant"',
  ],
];

test('mistakes are told with code, line, field and what to do', () => {
  for (const [from, to, code, field, hint] of MISTAKES) {
    assert.ok(FRAUD.includes(from), from);
    const text = FRAUD.replace(from, to);
    const error = refusal(text);
    assert.equal(error.code, `design/${code}`, to);
    assert.equal(error.where.field, field, to);
    assert.equal(error.where.file, 'fraud.yaml');
    assert.ok(error.hint!.includes(hint), `${to}: ${error.hint}`);
    // The line is that of the value, or of what surrounds it.
    const line = text.split('\n')[error.where.line! - 1]!;
    const last = field.split('.').findLast((part) => !/^\d+$/.test(part))!;
    const near = text
      .split('\n')
      .slice(error.where.line! - 2, error.where.line!)
      .join('\n');
    assert.ok(
      near.includes(`${last}:`) || line.includes(to.trim()),
      `${field} at ${error.where.line}: ${line}`,
    );
  }
  assert.equal(refusal('a: [1').code, 'design/not-yaml');
  assert.equal(refusal('').code, 'design/bad-field');
});

test('deploy/kubernetes has what the defaults make', () => {
  const file = readFileSync(join(ROOT, 'deploy/kubernetes/samewise.yaml'), 'utf8');
  assert.equal(file, kubernetesOf(DEFAULT_DEPLOYMENT));
});

test('what deploys name is what the configuration takes', () => {
  const { online, registry, stream } = DEFAULT_DEPLOYMENT;
  const folder = join(ROOT, 'examples/flights');
  const config = readConfig(folder, { SAMEWISE_ONLINE: online, SAMEWISE_STREAM: stream });
  assert.equal(config.online.kind, 'redis-cluster');
  assert.match(registry, /^postgres:/);
  const compose = parse(readFileSync(join(ROOT, 'deploy/docker-compose.yaml'), 'utf8'), {
    merge: true,
  });
  for (const name of ['serve', 'stream'])
    assert.equal(readConfig(folder, compose.services[name].environment).online.kind, 'redis');
});

test('a starter project with no context and no clashes is as plain', () => {
  const text = FRAUD.replace(/context:.*?\n\n/s, '').replace(
    / {2}merchant_now:.*?\n(?= {2}account:)/s,
    '',
  );
  const features = starter(readRequirements(text, 'f.yaml'))['features.ts']!;
  assert.ok(!features.includes('onDemandView') && !features.includes('.as('));
});
