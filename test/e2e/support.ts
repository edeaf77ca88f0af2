/** Samewise as its users run it: the real command line and the real server, as processes over projects in a temporary folder. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { parseExactJson } from '../../src/serving/json.ts';

const BIN = join(import.meta.dirname, '../../bin/samewise.js');
const DEADLINE_MS = 60_000;

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What stdout holds, with exact whole numbers. */
  readonly json: any;
}

/** Nothing of the test runner's own surroundings reaches the process. */
function surroundings(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(NODE_|SAMEWISE_)/.test(name));
  return { ...Object.fromEntries(kept), SAMEWISE_AUTHOR: 'tester' };
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts `samewise …args` in `folder`. */
export function start(folder: string, args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: folder,
    env: surroundings(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Waits for the end of a started process; it is killed if that takes too long. */
export async function finished(child: ChildProcess, deadlineMs = DEADLINE_MS): Promise<Ran> {
  const late = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  const read = async (stream: NodeJS.ReadableStream) => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString();
  };
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([read(child.stdout!), read(child.stderr!)]);
  await closed;
  clearTimeout(late);
  return {
    code: child.exitCode,
    signal: child.signalCode,
    stdout,
    stderr,
    get json() {
      return parseExactJson(stdout);
    },
  };
}

/** Runs `samewise …args` to its end, whatever that is. */
export async function run(folder: string, ...args: string[]): Promise<Ran> {
  return finished(start(folder, args));
}

/** Runs it with --json, expects success and nothing that is no JSON, and gives the result. */
export async function json(folder: string, ...args: string[]): Promise<any> {
  const ran = await run(folder, ...args, '--json');
  assert.equal(ran.code, 0, `samewise ${args.join(' ')}\n${ran.stdout}${ran.stderr}`);
  return ran.json;
}

/** A folder that is removed at the end. */
export function temporary(): { folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'samewise-e2e-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** The project that `samewise init` makes; with `ready` also applied and materialised. */
export async function scaffolded(folder: string, ready = true): Promise<string> {
  const project = join(folder, 'project');
  await json(folder, 'init', 'project');
  if (ready) {
    await json(project, 'apply', '--yes');
    await json(project, 'materialize');
  }
  return project;
}

/** A copy of a project, stores and all, that a test may spoil. */
export function copyOf(project: string, name: string): string {
  const copy = join(project, '..', name);
  cpSync(project, copy, { recursive: true });
  return copy;
}

/** Changes a file of a project; the text that is replaced must be there. */
export function edit(project: string, file: string, from: string, to: string): void {
  const path = join(project, file);
  const text = readFileSync(path, 'utf8');
  assert.ok(text.includes(from), `${file} holds ${from}`);
  writeFileSync(path, text.replace(from, to));
}

export interface Server {
  readonly url: string;
  readonly child: ChildProcess;
  get(path: string): Promise<Answer>;
  post(path: string, body: unknown): Promise<Answer>;
  /** Ends it by `signal`; its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly body: any;
}

/** `samewise serve` on a free port. A text is posted as it is, anything else as JSON. */
export async function startServer(project: string): Promise<Server> {
  const child = start(project, ['serve', '--port', '0', '--json']);
  let said = '';
  let complained = '';
  child.stderr!.on('data', (chunk) => {
    complained += chunk;
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout!.on('data', (chunk) => {
      said += chunk;
      if (said.trimEnd().endsWith('}')) resolve(JSON.parse(said).url);
    });
    child.once('exit', (code) => reject(new Error(`serve ended with ${code}: ${complained}`)));
  });
  const ask = async (path: string, init?: RequestInit): Promise<Answer> => {
    const response = await fetch(`${url}${path}`, init);
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    return { status: response.status, text, body: isJson ? parseExactJson(text) : text };
  };
  return {
    url,
    child,
    get: (path) => ask(path),
    post: (path, body) =>
      ask(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) {
        const exit = once(child, 'exit');
        child.kill(signal);
        await exit;
      }
      return child.exitCode;
    },
  };
}

/** Runs SQL over files, to look at what was written and to write test data. Rows hold JS values, int64 as bigint. */
export async function sql(text: string): Promise<Record<string, any>[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(text)).getRowObjectsJS();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
