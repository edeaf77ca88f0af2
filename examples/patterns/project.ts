/** A project in a folder of its own, and what the recipes do with it: what `samewise apply`, `materialize`, `push` and `get` do. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyProject, planProject } from '../../src/app/define.ts';
import { getVector } from '../../src/app/get.ts';
import { materialize } from '../../src/app/materialize.ts';
import { openApp } from '../../src/app/open.ts';
import { push } from '../../src/app/push.ts';
import { applyHere } from '../../src/app/streams.ts';
import { parseInstant } from '../../src/base/time.ts';

/** Values by feature. */
export type Values = Readonly<Record<string, unknown>>;

export interface Recipe {
  /** Replaces the definitions, and registers them. */
  define(features: string): Promise<void>;
  /** Brings pages up to date from history; `full`: builds them anew. */
  materialize(full?: boolean): Promise<void>;
  /** Appends events durably, and returns when reads see them. */
  push(source: string, events: readonly Readonly<Record<string, unknown>>[]): Promise<void>;
  /** Features of a service for one account, as of a time. */
  get(service: string, account: number, at: string): Promise<Values>;
  close(): Promise<void>;
}

/** Makes a project of files, the definitions among them. Nothing of it is left after `close`. */
export async function recipe(files: Readonly<Record<string, string>>): Promise<Recipe> {
  const folder = mkdtempSync(join(tmpdir(), 'samewise-pattern-'));
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write('samewise.config.json', '{}');
  write('package.json', '{ "type": "module" }');
  for (const [name, text] of Object.entries(files)) write(name, text);
  const app = await openApp({ projectDir: folder, environment: {} });
  return {
    async define(features) {
      write('features.ts', features);
      await applyProject(app, await planProject(app), { author: 'recipe' });
    },
    async materialize(full = false) {
      await materialize(app, { views: null, entities: null, full, workers: 1 });
    },
    async push(source, rows) {
      const streaming = await app.streaming();
      await push(streaming, { source, rows: [...rows], wait: 'applied' }, (of, places) =>
        applyHere(streaming, of, places),
      );
    },
    async get(service, account, at) {
      const time = { atUs: parseInstant(at), through: false };
      const { features } = await getVector(app, service, { account: String(account) }, time);
      return Object.fromEntries(features.map(({ name, value }) => [name, value]));
    },
    async close() {
      await app.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A transfer as an event. */
export function transfer(id: number, at: string, account: number, amount: number) {
  return { id, at, account, amount };
}

/** Definitions of transfers by account. `views`: name and features of each, which a service of that name gives; `batch`: where history lies. */
export function definitions(views: Readonly<Record<string, string>>, batch = ''): string {
  return `
import { avg, count, csv, entity, featureService, featureView, float64, int64, lastK, max, source, sum, timestamp } from 'samewise';
const account = entity({ name: 'account', key: { account: int64 } });
const transfers = source({
  name: 'transfers',
  columns: { id: int64, at: timestamp, account: int64, amount: float64 },
  eventTime: 'at', eventId: 'id', lateness: '1d', ${batch}
});
${Object.entries(views)
  .map(
    ([name, features]) => `
const ${name}View = featureView({ name: '${name}_view', entity: account, source: transfers, features: ({ amount }) => (${features}) });
export const ${name} = featureService({ name: '${name}', features: [${name}View] });`,
  )
  .join('\n')}`;
}
