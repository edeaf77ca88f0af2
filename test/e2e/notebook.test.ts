/** The notebook of the flights, on the flights between five airports. Its last cells hold training and online rows to be equal. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { python } from '../support/python.ts';
import { json, type Server, sql, startServer, temporary } from './support.ts';

const ROOT = join(import.meta.dirname, '../..');
const ALL = 'node_modules/vega-datasets/data/flights-3m.parquet';
const NOTEBOOK = 'examples/flights/notebook/will_it_be_late.ipynb';
const AIRPORTS = "('ATL', 'ORD', 'DFW', 'LAX', 'DEN')";

const { skip, path: interpreter } = await python('client');
const { folder, remove } = temporary();
const flights = join(folder, 'flights.parquet');
let server: Server;
before(async () => {
  if (skip !== false) return;
  await sql(`COPY (FROM '${join(ROOT, ALL)}' WHERE origin IN ${AIRPORTS} AND destination IN ${AIRPORTS}
    AND date >= '2001-05-20') TO '${flights}'`);
  const definitions = readFileSync(join(ROOT, 'examples/flights/features.ts'), 'utf8');
  writeFileSync(
    join(folder, 'features.ts'),
    definitions.replace(`../../${ALL}`, 'flights.parquet'),
  );
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'samewise.config.json'), '{}');
  mkdirSync(join(folder, 'home'));
  await json(folder, 'apply', '--yes');
  await json(folder, 'materialize');
  server = await startServer(folder);
});
after(async () => {
  await server?.stop();
  remove();
});

const RUN = `
import nbformat, sys
from nbclient import NotebookClient
NotebookClient(nbformat.read(sys.argv[1], as_version=4), timeout=300, kernel_name="python3").execute(cwd=sys.argv[2])
`;

test('the notebook runs to its end', { skip }, async () => {
  await promisify(execFile)(interpreter, ['-c', RUN, join(ROOT, NOTEBOOK), folder], {
    env: {
      PATH: process.env.PATH,
      HOME: join(folder, 'home'),
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONPATH: join(ROOT, 'python/src'),
      OMP_NUM_THREADS: '1',
      SAMEWISE_URL: server.url,
      FLIGHTS: flights,
    },
    maxBuffer: 1 << 26,
  });
});
