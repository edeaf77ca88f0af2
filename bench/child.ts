/** A measured run in a process of its own, so that time and peak memory are its alone. */
import { type SpawnSyncOptionsWithStringEncoding, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const COMPILE_CACHE = join(import.meta.dirname, '../bench-out/compile-cache');

export interface Run {
  readonly seconds: number;
  /** User and system time of all threads. */
  readonly cpuSeconds: number;
  readonly peakMb: number;
  /** What the mode gave back. */
  readonly result: unknown;
}

/** Runs `file` again as `node file mode …args` and gives what `answer` printed there. */
export function runChild(file: string, mode: string, ...args: readonly string[]): Run {
  const run = spawnSync(process.execPath, argumentsOf(file, mode, args), OPTIONS);
  return reported(mode, args, run.status, run.stdout);
}

/** The same, beside others. */
export async function startChild(
  file: string,
  mode: string,
  ...args: readonly string[]
): Promise<Run> {
  const child = spawn(process.execPath, argumentsOf(file, mode, args), OPTIONS);
  let said = '';
  child.stdout!.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  const [code] = await once(child, 'close');
  return reported(mode, args, code, said);
}

const OPTIONS = {
  stdio: ['ignore', 'pipe', 'inherit'],
  encoding: 'utf8',
  // As bin/samewise.js does.
  env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE },
} satisfies SpawnSyncOptionsWithStringEncoding;

function argumentsOf(file: string, mode: string, args: readonly string[]): string[] {
  return ['--conditions=samewise-source', '--no-warnings', file, mode, ...args];
}

function reported(mode: string, args: readonly string[], code: number | null, said: string): Run {
  if (code !== 0) throw new Error(`${mode} failed with exit code ${code}`);
  const measured = JSON.parse(said.trimEnd().split('\n').at(-1)!) as Run;
  const { seconds, cpuSeconds, peakMb } = measured;
  process.stderr.write(
    `${mode} ${args.join(' ')}: ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s CPU, ${peakMb.toFixed(0)} MB\n`,
  );
  return measured;
}

/** In the child: measures `work` and prints it for the parent. */
export async function answer(work: () => Promise<unknown>): Promise<void> {
  const start = performance.now();
  const result = (await work()) ?? null;
  const seconds = (performance.now() - start) / 1000;
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  const run: Run = {
    seconds,
    cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
    peakMb: maxRSS / 1024,
    result,
  };
  process.stdout.write(`${JSON.stringify(run)}\n`);
}
