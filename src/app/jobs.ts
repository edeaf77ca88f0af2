/** Jobs in the registry: what runs says so, and what died without a word is found out. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import type { Job, Registry } from '../registry/contract.ts';

/** Jobs that this process runs now; another process may have had the same number before. */
const own = new Set<string>();

interface Surroundings {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/**
 * Runs `body` as a job: `running` while it lasts, then `succeeded`, `interrupted` if the signal ended it, or `failed`.
 * What `body` returns has the rows and bytes that the job is said to have moved.
 */
export async function runJob<R extends { readonly rows: number; readonly bytes: number }>(
  { registry, clock, signal }: Surroundings,
  what: Pick<Job, 'kind' | 'view' | 'version'>,
  body: (id: string) => Promise<R>,
): Promise<R> {
  // The machine and the process are part of the id: see `markOrphans`.
  const id = `${randomBytes(4).toString('hex')}-${hostname()}-${process.pid}`;
  own.add(id);
  await registry.startJob({ id, ...what, startedUs: clock.nowUs() });
  const end = (change: Parameters<Registry['updateJob']>[1]) =>
    registry.updateJob(id, { ...change, finishedUs: clock.nowUs() });
  try {
    const result = await body(id);
    await end({ status: 'succeeded', rows: result.rows, bytes: result.bytes });
    return result;
  } catch (error) {
    const text = error instanceof SamewiseError ? `${error.code}: ${error.message}` : String(error);
    await end({ status: signal?.aborted ? 'interrupted' : 'failed', error: text });
    throw error;
  } finally {
    own.delete(id);
  }
}

/** Marks jobs of this machine that are said to run, but whose process is gone, as interrupted; of others nobody here can tell. */
export async function markOrphans({ registry, clock }: Surroundings): Promise<void> {
  for (const job of await registry.jobs({ status: 'running' })) {
    const [, host, number] = /^[^-]*-(?:(.*)-)?(\d+)$/.exec(job.id) ?? [];
    if (host !== undefined && host !== hostname()) continue;
    const process_ = Number(number);
    if (own.has(job.id) || (process_ !== process.pid && isAlive(process_))) continue;
    await registry.updateJob(job.id, {
      status: 'interrupted',
      finishedUs: clock.nowUs(),
      error: 'its process ended without a word',
    });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
