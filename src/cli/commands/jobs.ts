import type { Command } from 'commander';
import { formatBytes, formatCount } from '../../base/numbers.ts';
import { formatInstant } from '../../base/time.ts';
import type { Job } from '../../registry/contract.ts';
import { command, whole, withApp } from '../command.ts';
import { duration, table } from '../output.ts';

/** `samewise jobs`: what ran and what runs. */
export function jobs(program: Command): void {
  program.addCommand(
    command('jobs', 'what ran and what runs, newest first', ['jobs', 'jobs --status failed --json'])
      .option('--view <name>')
      .option('--status <status>', 'running, succeeded, failed or interrupted')
      .option('--limit <n>', 'at most so many', whole, 20)
      .action((options: { view?: string; status?: Job['status']; limit: number }, self: Command) =>
        withApp(self, async ({ app, out }) => {
          const { limit, ...filter } = options;
          const found = await app.registry.jobs(filter, limit);
          out.result(found, () =>
            found.length === 0
              ? 'No jobs.'
              : table(
                  ['id', 'kind', 'view', 'status', 'started', 'took', 'rows', 'bytes', 'error'],
                  found.map((job) => [
                    job.id.slice(0, 8),
                    job.kind,
                    `${job.view}@${job.version}`,
                    job.status,
                    formatInstant(Math.floor(job.startedUs / 1e6) * 1e6),
                    job.finishedUs === null
                      ? ''
                      : duration((job.finishedUs - job.startedUs) / 1000),
                    formatCount(job.rows),
                    formatBytes(job.bytes),
                    job.error,
                  ]),
                ),
          );
        }),
      ),
  );
}
