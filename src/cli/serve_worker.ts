/** One of the processes of `samewise serve --workers`: started by app/workers.ts, which says what it is to do. */
import { once } from 'node:events';
import { dutiesOf, processMetrics } from '../app/duties.ts';
import { type App, openApp } from '../app/open.ts';
import { startServer } from '../app/server.ts';
import { linkToParent } from '../app/worker_link.ts';
import { SOCKET_FD, type WorkerSetup } from '../app/worker_messages.ts';
import { createOutput } from './output.ts';
import { serverNotes } from './server_notes.ts';
import { version } from './version.ts';

const setup: WorkerSetup = JSON.parse(process.argv[2]!);
const notes = serverNotes(createOutput(true));
const link = linkToParent();
const stopped = once(link.stop, 'abort');
try {
  const app = await openApp(setup);
  await (setup.role === 'serve' ? serve(app) : haveDuties(app)).finally(app.close);
} catch (error) {
  link.failed(error);
  process.exitCode = 1;
}
link.close();

async function serve(app: App): Promise<void> {
  const server = await startServer(app, {
    ...notes,
    ...setup,
    // The parent knows where; a child is handed the socket.
    host: '',
    port: 0,
    fd: SOCKET_FD,
    version: version(),
    stream: false,
    allMetrics: link.gather,
  });
  link.answerMetrics(server.metrics);
  link.listening();
  server.warm.then(link.ready);
  await stopped;
  await server.close();
  await link.counted();
}

async function haveDuties(app: App): Promise<void> {
  const duties = dutiesOf(app, await app.streaming(), {
    ...notes,
    onEnd: (error) => {
      notes.onFailure(error, { method: 'stream', url: '' });
      link.giveUp();
    },
  });
  const ofProcess = processMetrics();
  link.answerMetrics(async () => (await ofProcess()) + (await duties.metrics()));
  link.listening();
  link.ready();
  await duties.run(link.stop);
  await link.counted();
}
