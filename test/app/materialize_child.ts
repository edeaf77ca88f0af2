/** Materialises a project's view in threads, and kills itself when as many keys are done as it was told. */
import { materialize } from '../../src/app/materialize.ts';
import { openApp } from '../../src/app/open.ts';

const app = await openApp({ projectDir: process.argv[2]!, environment: {} });
await materialize(app, {
  views: ['spending'],
  rowsPerShard: 2_000,
  workers: 2,
  onProgress: ({ keys }) => {
    if (keys >= Number(process.argv[3])) process.kill(process.pid, 'SIGKILL');
  },
});
