/** Materialises a project's view in threads and says what is done, until it is killed. */
import { materialize } from '../../src/app/materialize.ts';
import { openApp } from '../../src/app/open.ts';

const app = await openApp({ projectDir: process.argv[2]!, environment: {} });
await materialize(app, {
  views: ['spending'],
  rowsPerShard: 2_000,
  workers: 2,
  onProgress: ({ keys }) => process.stdout.write(`${keys}\n`),
});
process.stdout.write('finished\n');
await app.close();
