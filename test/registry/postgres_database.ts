/** Databases of a test's own in the PostgreSQL server that the tests share. */
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/base/clock.ts';
import { PostgresLink } from '../../src/registry/postgres_link.ts';

/** How the tests open what a URL names. */
export const optionsFor = (url: string) => ({ url, clock: systemClock, environment: process.env });

/** Makes an empty database on the server at `at`; gives its URL. */
export async function newDatabase(at: string): Promise<string> {
  const name = `registry_${randomBytes(6).toString('hex')}`;
  await withDatabase(at, (sql) => sql.unsafe(`create database ${name}`));
  const url = new URL(at);
  url.pathname = name;
  return url.href;
}

/** Runs `body` on a connection that is closed afterwards. */
export async function withDatabase<T>(
  url: string,
  body: Parameters<PostgresLink['call']>[0],
): Promise<T> {
  const link = new PostgresLink(optionsFor(url));
  try {
    return (await link.call(body)) as T;
  } finally {
    await link.close();
  }
}

/** Waits for a condition, however long the machine takes; what throws meanwhile is tried again. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const startMs = performance.now();
  for (;;) {
    let failure: unknown;
    try {
      if (await condition()) return;
    } catch (error) {
      failure = error;
    }
    if (performance.now() - startMs > 120_000)
      throw new Error(`not so: ${what}`, { cause: failure });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
