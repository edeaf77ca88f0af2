/**
 * Real servers for tests, by scripts/services: started when the first test of a run asks for one, shared by all test files of
 * the run, stopped when the run ends, however it ends. With SAMEWISE_SERVICES_DIR set, the servers that are there are used
 * and stay.
 */
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const SCRIPTS = join(import.meta.dirname, '../../scripts/services');
/** The process that runs all test files; this one, if it is run alone. */
const RUN = process.env.NODE_TEST_CONTEXT === undefined ? process.pid : process.ppid;

export type Server =
  | 'kafka'
  | 'schema-registry'
  | 'postgres'
  | 'debezium'
  | 'kinesis'
  | 'redis'
  | 'redis-cluster';

const environment: NodeJS.ProcessEnv = {
  SAMEWISE_SERVICES_DIR: join(tmpdir(), `samewise-test-services-${RUN}`),
  SAMEWISE_SERVICES_OWNER: String(RUN),
  ...process.env,
};
/** Where servers of one test file lie: nobody else is hurt when they are killed. */
const OWN_DIR = `${environment.SAMEWISE_SERVICES_DIR}-${process.pid}`;

/** What the scripts exit with where something is not here and cannot be fetched. */
const UNAVAILABLE = 69;

/**
 * Starts servers at once and gives their addresses, or says why a test has to be skipped. With SAMEWISE_SKIP_NONE (.ci/run sets
 * it) what is missing is a failure, as is everywhere a server that is here and does not start.
 */
export async function servers<const Names extends readonly Server[]>(
  ...names: Names
): Promise<{ skip: string | false; at: { [I in keyof Names]: string } }> {
  return startIn(environment, names);
}

async function startIn<const Names extends readonly Server[]>(
  env: NodeJS.ProcessEnv,
  names: Names,
): Promise<{ skip: string | false; at: { [I in keyof Names]: string } }> {
  try {
    const at = await Promise.all(names.map((name) => script(env, name, 'up')));
    return { skip: false, at: at as { [I in keyof Names]: string } };
  } catch (error) {
    if (process.env.SAMEWISE_SKIP_NONE || (error as { code?: unknown }).code !== UNAVAILABLE)
      throw error;
    const at = names.map(() => '') as { [I in keyof Names]: string };
    return { skip: `skipped: ${(error as Error).message}`, at };
  }
}

/** Kills a server that all share; `servers` starts it again with its data, at the same address. */
export async function crash(name: Server): Promise<void> {
  await command(name, 'crash');
}

/** A server of this test file alone; started again with its data after a crash. */
export interface OwnServer {
  /** Why a test has to be skipped. */
  readonly skip: string | false;
  readonly at: string;
  crash(): Promise<void>;
  up(): Promise<void>;
  down(): Promise<void>;
  /** Another command of the server's script; what it prints. */
  run(...what: readonly string[]): Promise<string>;
}

export async function ownServer(name: Server): Promise<OwnServer> {
  const own = { ...environment, SAMEWISE_SERVICES_DIR: OWN_DIR };
  const run = (...what: readonly string[]) => script(own, name, ...what);
  const { skip, at } = await startIn(own, [name]);
  return {
    skip,
    at: at[0],
    crash: async () => void (await run('crash')),
    up: async () => void (await run('up')),
    down: async () => void (await run('down')),
    run,
  };
}

/** Runs a statement in PostgreSQL; gives what it prints. */
export function sql(statement: string): Promise<string> {
  return command('postgres', 'sql', statement);
}

function command(name: Server, ...what: readonly string[]): Promise<string> {
  return script(environment, name, ...what);
}

async function script(
  env: NodeJS.ProcessEnv,
  name: Server,
  ...what: readonly string[]
): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(join(SCRIPTS, name), what, { env });
    return stdout.trim();
  } catch (error) {
    const { stderr, code } = error as { stderr?: string; code?: unknown };
    throw Object.assign(new Error(stderr?.trim() || `${name} ${what[0]}: ${error}`), { code });
  }
}
