/** Children that cannot be started: the server goes on, and tries again. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startWorkers } from '../../src/app/workers.ts';

/** A child that says what one says, and does nothing. */
const CHILD = `
process.on('message', ({ type, id }) => {
  if (type === 'stop') process.disconnect();
  else process.send({ type, id, text: 'pid ' + process.pid + '\\n' });
});
process.send({ type: 'listening' });
process.send({ type: 'ready' });
`;

test('a child that the system does not start is tried again', async (t) => {
  const projectDir = mkdtempSync(join(tmpdir(), 'samewise-workers-'));
  t.after(() => rmSync(projectDir, { recursive: true }));
  const main = join(projectDir, 'child.mjs');
  writeFileSync(main, CHILD);
  writeFileSync(join(projectDir, 'samewise.config.json'), '{}');
  const deaths: string[] = [];
  const heard = Promise.withResolvers<void>();
  const { execPath } = process;
  const server = await startWorkers({
    projectDir,
    host: '127.0.0.1',
    port: 0,
    workers: 1,
    stream: false,
    main,
    onDeath: (_, why) => {
      deaths.push(why);
      if (deaths.length === 2) {
        process.execPath = execPath;
        heard.resolve();
      }
    },
  });
  t.after(async () => {
    process.execPath = execPath;
    await server.close();
  });
  await server.warm;
  const pid = async () => Number(/pid\S* (\d+)/.exec(await server.metrics())?.[1] ?? 0);
  const first = await pid();
  process.execPath = join(projectDir, 'nothing');
  await assert.rejects(server.restart(), { code: 'app/worker-failed' });
  assert.equal(await pid(), first, 'the old one goes on');
  process.kill(first, 'SIGKILL');
  await heard.promise;
  assert.match(deaths[0]!, /SIGKILL/);
  assert.match(deaths[1]!, /ENOENT/);
  const replaced = async () => ![0, first].includes(await pid());
  while (!(await replaced()));
});
