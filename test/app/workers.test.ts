/** Children that cannot be started, hang, or never take over: the server goes on, replaces them, and ends when it is told to. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startWorkers, type WorkerLimits } from '../../src/app/workers.ts';

/** A child that says what one says, and does nothing. It does not become ready where there is a file `never`. */
const CHILD = `
import { existsSync, writeFileSync } from 'node:fs';
const counted = '# TYPE pids gauge\\npids ' + process.pid + '\\n# TYPE born_total counter\\nborn_total 1\\n';
process.on('message', ({ type, id }) => {
  if (type === 'stop') process.disconnect();
  else process.send({ type, id, text: counted });
});
setInterval(() => process.send?.({ type: 'alive' }), 100).unref();
process.send({ type: 'listening' });
if (!existsSync(new URL('never', import.meta.url))) process.send({ type: 'ready' });
else writeFileSync(new URL('waits', import.meta.url), '');
`;

const { execPath } = process;
after(() => {
  process.execPath = execPath;
});

async function served(t: TestContext, limits?: WorkerLimits) {
  const projectDir = mkdtempSync(join(tmpdir(), 'samewise-workers-'));
  const main = join(projectDir, 'child.mjs');
  writeFileSync(main, CHILD);
  writeFileSync(join(projectDir, 'samewise.config.json'), '{}');
  const deaths: string[] = [];
  const options = {
    projectDir,
    host: '127.0.0.1',
    port: 0,
    workers: 1,
    stream: false,
    main,
    onDeath: (_: string, why: string) => {
      deaths.push(why);
      if (deaths.length === 2) process.execPath = execPath;
    },
  };
  const server = await startWorkers(options, limits);
  let ending: Promise<void> | null = null;
  const close = () => (ending ??= server.close());
  t.after(async () => {
    process.execPath = execPath;
    await close();
    rmSync(projectDir, { recursive: true });
  });
  await server.warm;
  const pid = async () => Number(/^pids\S* (\d+)/m.exec(await server.metrics())?.[1] ?? 0);
  const replaced = async (old: number) => {
    while ([0, old].includes(await pid())) await pause(10);
  };
  return { projectDir, server, close, deaths, pid, replaced };
}

test('a child that the system does not start is tried again', async (t) => {
  const { projectDir, server, deaths, pid, replaced } = await served(t);
  const first = await pid();
  process.execPath = join(projectDir, 'nothing');
  await assert.rejects(server.restart(), { code: 'app/worker-failed' });
  assert.equal(await pid(), first, 'the old one goes on');
  process.kill(first, 'SIGKILL');
  await replaced(first);
  assert.match(deaths[0]!, /SIGKILL/);
  assert.match(deaths[1]!, /ENOENT/);
  // What the one counted that was killed still counts.
  assert.match(await server.metrics(), /^born_total 2$/m);
});

test('a child that hangs is killed and replaced', async (t) => {
  const limits = { lookMs: 50, silentLooks: 40, startLooks: 4_000, endMs: 40_000 };
  const { deaths, pid, replaced } = await served(t, limits);
  const first = await pid();
  process.kill(first, 'SIGSTOP');
  await replaced(first);
  assert.deepEqual(deaths.slice(0, 1), ['was stuck and has been killed']);
});

test('who is to take over and never is ready holds up no end', async (t) => {
  const { projectDir, server, close } = await served(t);
  writeFileSync(join(projectDir, 'never'), '');
  const restarting = server.restart();
  while (!existsSync(join(projectDir, 'waits'))) await pause(10);
  await close();
  await restarting;
});
