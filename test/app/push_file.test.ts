import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { getVector } from '../../src/app/get.ts';
import type { App } from '../../src/app/open.ts';
import { pushFile } from '../../src/app/push_file.ts';
import { parseInstant } from '../../src/base/time.ts';
import { type Project, paymentsProject } from './project.ts';

let here: Project;
let app: App;
let streaming: Parameters<typeof pushFile>[0];
before(async () => {
  here = await paymentsProject(50, 5);
  app = await here.open();
  streaming = { ...(await app.streaming()), offline: app.offline };
});
after(async () => {
  await app.close();
  here.remove();
});

const written = (name: string, text: string) => {
  writeFileSync(join(here.folder, name), text);
  return { source: 'payments', path: join(here.folder, name), wait: 'applied' } as const;
};

test('a file of any kind is one push, however often and in whichever form it comes', async () => {
  const csv = written(
    'p.csv',
    'customer_id,id,at,amount,note\n1,9007199254740993,2024-02-01T00:00:00Z,2.5,x\n,2,2024-02-01 00:00:01,,y\n',
  );
  const seen = async () => {
    const time = { atUs: parseInstant('2024-02-01T12:00:00Z'), through: false };
    const { features } = await getVector(app, 'spending:n', { customer_id: '1' }, time);
    return features.map(({ value }) => value);
  };
  assert.deepEqual(await pushFile(streaming, csv), {
    source: 'payments',
    rows: 2,
    state: 'applied',
  });
  assert.deepEqual(await seen(), [1n]);
  await pushFile(streaming, csv);
  const json = written(
    'p.jsonl',
    '{"id": 9007199254740993, "at": "2024-02-01T00:00:00Z", "customer_id": 1, "amount": 2.5}\n' +
      '{"id": 2, "at": "2024-02-01T00:00:01Z", "amount": null, "customer_id": null}\n',
  );
  await pushFile(streaming, json);
  assert.deepEqual(await seen(), [1n]);
  const retract = written(
    'r.csv',
    'customer_id,id,at,amount,__op\n1,9007199254740993,2024-02-01,2.5,retract\n',
  );
  await pushFile(streaming, retract);
  assert.deepEqual(await seen(), [0n]);
});

test('what is wrong with a file is said with row and column', async () => {
  await assert.rejects(
    pushFile(
      streaming,
      written('bad.csv', 'customer_id,id,at,amount\n1,2,2024-02-01,1\n1,3,soon,1\n'),
    ),
    (error: any) => {
      assert.equal(error.code, 'time/unreadable');
      assert.deepEqual([error.where.row, error.where.column], [1, 'at']);
      return true;
    },
  );
  await assert.rejects(
    pushFile(
      streaming,
      written('bad2.csv', 'customer_id,id,at,amount,__op\n1,2,2024-02-01,1,undo\n'),
    ),
    (error: any) => {
      assert.deepEqual([error.code, error.where.row], ['app/bad-op', 0]);
      assert.match(error.where.file, /bad2\.csv$/);
      return true;
    },
  );
  await assert.rejects(
    pushFile(streaming, written('short.csv', 'customer_id,id,at\n1,2,2024-02-01\n')),
    {
      code: 'offline/missing-column',
    },
  );
  await assert.rejects(pushFile(streaming, written('p.txt', '')), {
    code: 'app/unknown-file-type',
  });
  await assert.rejects(pushFile(streaming, { source: 'payment', path: 'p.csv', wait: 'durable' }), {
    code: 'app/unknown-source',
  });
});
