/** What people get wrong: each is told what, where and what to do, never by a stack trace. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { copyOf, edit, run, scaffolded, sql, temporary } from './support.ts';

const { folder, remove } = temporary();
after(remove);
let project: string;
before(async () => {
  project = await scaffolded(folder);
});

/** What a run that has to fail is to say. */
interface Complaint {
  readonly exit: number;
  readonly code: string;
  /** Parts of the error's place. */
  readonly where?: Record<string, unknown>;
  readonly says?: RegExp;
  readonly hint?: RegExp;
}

/** Runs it for scripts, or for people, and holds what it says against what is expected. */
async function refused(folder: string, args: readonly string[], expected: Complaint) {
  const ran = await run(folder, ...args, '--json');
  const what = `samewise ${args.join(' ')}\n${ran.stdout}${ran.stderr}`;
  assert.equal(ran.code, expected.exit, what);
  assert.equal(ran.stderr, '', what);
  const { error } = ran.json;
  assert.equal(error.code, expected.code, what);
  for (const [name, value] of Object.entries(expected.where ?? {}))
    assert.equal(error.where[name], value, `where.${name}: ${what}`);
  assert.match(error.message, expected.says ?? /./, what);
  assert.doesNotMatch(error.message, /^\s+at /m, what);
  assert.match(error.hint ?? '', expected.hint ?? /(?:)/, what);
}

/** As many at a time as there are cores to run them. */
async function allRefused(folder: string, cases: readonly (readonly [string[], Complaint])[]) {
  const left = [...cases];
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift())
      await refused(folder, ...next);
  };
  await Promise.all([work(), work()]);
}

test('people read the same on stderr, as what, where and hint', async () => {
  const ran = await run(project, 'features', 'show', 'customer_spending:avg_amont_7d');
  assert.deepEqual(
    [ran.code, ran.stdout, ran.stderr.split('\n')],
    [
      1,
      '',
      [
        'error model/unknown-feature: the view customer_spending has no feature "avg_amont_7d"',
        '  where: view customer_spending, feature avg_amont_7d',
        '  hint:  did you mean "avg_amount_7d"?',
        '',
      ],
    ],
  );
  const usage = await run(project, 'materialise');
  assert.deepEqual(
    [usage.code, usage.stdout, usage.stderr],
    [
      2,
      '',
      "error cli/unknown-command: unknown command 'materialise'\n  hint:  did you mean materialize?\n",
    ],
  );
});

test('misspelt commands, options and names', async () => {
  const cases: [string[], Complaint][] = [
    [
      ['materialise'],
      { exit: 2, code: 'cli/unknown-command', hint: /did you mean materialize\?/i },
    ],
    [
      ['features', 'serch', 'x'],
      { exit: 2, code: 'cli/unknown-command', hint: /did you mean search\?/i },
    ],
    [
      ['get', 'fraud_v1', '--kye', 'a=1'],
      { exit: 2, code: 'cli/unknown-option', hint: /did you mean --key\?/i },
    ],
    [
      ['features', 'list', '--limt', '3'],
      { exit: 2, code: 'cli/unknown-option', hint: /did you mean --limit\?/i },
    ],
    [['get'], { exit: 2, code: 'cli/missing-argument', hint: /--help/ }],
    [
      ['jobs', '--limit', 'many'],
      { exit: 2, code: 'cli/bad-option', says: /many/, hint: /digits/ },
    ],
    [
      ['get', 'fraud_v1', '-k', 'customer_id=1', '-r', 'amount=1', '--at', 'yesterday'],
      { exit: 2, code: 'cli/bad-option', where: { field: '--at' }, hint: /2024-03-01/ },
    ],
    [
      ['get', 'fraud_v2', '-k', 'customer_id=1'],
      { exit: 1, code: 'plan/unknown-object', hint: /fraud_v1/ },
    ],
    [
      ['features', 'show', 'customer_spending:avg_amont_7d'],
      { exit: 1, code: 'model/unknown-feature', hint: /did you mean "avg_amount_7d"/ },
    ],
    [
      ['materialize', 'customer_spendin'],
      { exit: 1, code: 'app/unknown-view', hint: /did you mean "customer_spending"/ },
    ],
    [
      ['get', 'fraud_v1', '-k', 'custmer_id=1', '-r', 'amount=1'],
      { exit: 1, code: 'serving/missing-field', hint: /customer_id/ },
    ],
    [
      ['serve', '--port', '99999'],
      { exit: 1, code: 'app/cannot-listen', says: /99999/, hint: /--port/ },
    ],
    [
      ['serve', '--host', '192.0.2.1'],
      { exit: 1, code: 'app/cannot-listen', says: /192\.0\.2\.1/, hint: /address/ },
    ],
    [
      ['get', 'fraud_v1', '-k', 'customer_id=abc', '-r', 'amount=1'],
      { exit: 1, code: 'types/wrong-type', says: /abc/, hint: /whole number/ },
    ],
  ];
  await allRefused(project, cases);
});

test('a project that is missing, or whose configuration or definitions are broken', async () => {
  await refused(folder, ['plan'], { exit: 1, code: 'app/no-project', hint: /samewise init/ });
  const broken = copyOf(project, 'broken');
  const config = join(broken, 'samewise.config.json');
  const definitions = join(broken, 'features.ts');
  writeFileSync(config, '{ "definitions": ');
  await refused(broken, ['plan'], {
    exit: 1,
    code: 'app/bad-config',
    where: { file: config },
    hint: /JSON/,
  });
  writeFileSync(config, '{ "definitons": "features.ts" }');
  await refused(broken, ['plan'], {
    exit: 1,
    code: 'app/bad-config',
    where: { file: config },
    hint: /did you mean "definitions"/,
  });
  writeFileSync(config, '{}');
  edit(broken, 'features.ts', 'avg(amount)', 'avg(amonut)');
  const where = { file: definitions, line: 30 };
  await refused(broken, ['plan'], {
    exit: 1,
    code: 'app/definitions-failed',
    where,
    says: /amonut/,
  });
  edit(broken, 'features.ts', 'avg(amonut)', 'avg(amount]');
  await refused(broken, ['plan'], { exit: 1, code: 'app/definitions-failed', where });
  edit(broken, 'features.ts', 'avg(amount]', 'avg(amount)');
  edit(broken, 'features.ts', "over('7d')", "over('7 days')");
  await refused(broken, ['apply', '--yes'], {
    exit: 1,
    code: 'time/bad-duration',
    says: /7 days/,
    hint: /7d/,
  });
});

test('labels that cannot be used leave no file', async () => {
  const parquet = join(project, 'labels.parquet');
  await sql(`COPY (FROM read_csv('${project}/labels.csv')) TO '${parquet}'`);
  await sql(
    `COPY (SELECT 'noon' AS "at", 1 AS customer_id, 1.5 AS amount) TO '${project}/noon.csv'`,
  );
  const bytes = readFileSync(parquet);
  writeFileSync(join(project, 'cut.parquet'), bytes.subarray(0, bytes.length - 100));
  const damaged = Buffer.from(bytes);
  damaged.fill(0xff, 40, 200);
  writeFileSync(join(project, 'damaged.parquet'), damaged);
  const train = (labels: string, time = 'at', service = 'fraud_v1') => [
    ...['train', '--service', service, '--labels', labels, '--time', time, '--out', 'out.parquet'],
  ];
  const file = (name: string) => ({ file: join(project, name) });
  const cases: [string[], Complaint][] = [
    [
      train('labels.csv', 'att'),
      { exit: 1, code: 'offline/bad-labels', where: { column: 'att' }, hint: /did you mean at/ },
    ],
    [
      train('nowhere.csv'),
      { exit: 1, code: 'offline/no-files', where: file('nowhere.csv'), hint: /relative/ },
    ],
    [
      train('cut.parquet'),
      { exit: 1, code: 'offline/unreadable-file', where: file('cut.parquet'), hint: /cut short/ },
    ],
    [
      train('damaged.parquet'),
      { exit: 1, code: 'offline/unreadable-file', where: file('damaged.parquet'), hint: /damaged/ },
    ],
    [
      train('noon.csv'),
      {
        exit: 1,
        code: 'offline/bad-labels',
        says: /noon/,
        where: { column: 'at', row: 0 },
        hint: /2024-03-01/,
      },
    ],
    [
      train('labels.csv', 'at', 'fraud'),
      { exit: 1, code: 'plan/unknown-object', hint: /fraud_v1/ },
    ],
    [
      ['train', '--labels', 'labels.csv', '--time', 'at', '--out', 'out.parquet'],
      { exit: 2, code: 'cli/bad-option', says: /--service/ },
    ],
  ];
  await allRefused(project, cases);
  assert.ok(!existsSync(join(project, 'out.parquet')));
  assert.ok(!existsSync(join(project, 'out.parquet.manifest.json')));
});

test('a file of events with one wrong value is pushed not at all', async () => {
  const head = 'tx_id,at,customer_id,amount\n2001,2024-03-25,1,5\n';
  const files = {
    nan: '2002,2024-03-25,1,NaN',
    time: '2002,noon,1,5',
    word: '2002,2024-03-25,1,five',
  };
  for (const [name, line] of Object.entries(files))
    writeFileSync(join(project, `${name}.csv`), `${head}${line}\n`);
  writeFileSync(join(project, 'short.csv'), 'tx_id,at,customer_id\n2001,2024-03-25,1\n');
  const push = (file: string, source = 'transactions') => ['push', source, file];
  const at = (file: string, column: string) => ({ file: join(project, file), row: 1, column });
  await allRefused(project, [
    [push('nan.csv'), { exit: 1, code: 'types/nan', where: at('nan.csv', 'amount'), hint: /null/ }],
    [
      push('time.csv'),
      { exit: 1, code: 'time/unreadable', where: at('time.csv', 'at'), says: /noon/, hint: /2024/ },
    ],
    [
      push('word.csv'),
      { exit: 1, code: 'offline/wrong-value', where: at('word.csv', 'amount'), says: /five/ },
    ],
    [push('short.csv'), { exit: 1, code: 'offline/missing-column', where: { column: 'amount' } }],
    [
      push('nan.csv', 'transaction'),
      { exit: 1, code: 'app/unknown-source', hint: /did you mean "transactions"/ },
    ],
  ]);
  const { json } = await run(
    ...([project, 'get', 'fraud_v1', '-k', 'customer_id=1', '-r', 'amount=1'] as const),
    ...(['--at', '2024-03-25T00:00:01Z', '--json'] as const),
  );
  assert.notEqual(json.features.last_5_amounts.at(-1), 5);
});
