import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { SamewiseError } from '../../base/errors.ts';
import { planToJson, printPlan } from '../../plan/index.ts';
import { command, withApp } from '../command.ts';

/** `samewise plan`: what applying the definitions would do. */
export function plan(program: Command): void {
  program.addCommand(
    command(
      'plan',
      'show what the definitions would change, whom it touches and what must be backfilled',
      ['plan', 'plan --json'],
    ).action((_options, self: Command) =>
      withApp(self, async ({ app, out }) => {
        const { planProject } = await import('../../app/define.ts');
        const planned = await planProject(app);
        out.result(planToJson(planned), () => printPlan(planned));
      }),
    ),
  );
}

/** `samewise apply`: plan, ask, and register in one atomic revision. */
export function apply(program: Command): void {
  program.addCommand(
    command('apply', 'register the definitions, all or nothing', [
      'apply',
      'apply --yes --message "spending: windows of 1 and 7 days"',
    ])
      .option('-y, --yes', 'do not ask')
      .option('-m, --message <text>', 'why', '')
      .option('--author <name>', 'who (default: the account that runs this)')
      .action((options: { yes?: boolean; message: string; author?: string }, self: Command) =>
        withApp(self, async ({ app, out, signal }) => {
          const { applyProject, planProject } = await import('../../app/define.ts');
          const planned = await planProject(app);
          out.line(printPlan(planned));
          if (planned.changes.length > 0 && options.yes !== true) await confirm(signal);
          const revision = await applyProject(app, planned, options);
          out.result({ plan: planToJson(planned), revision }, () =>
            revision === null ? '' : `Applied as revision ${revision.number}.`,
          );
        }),
      ),
  );
}

async function confirm(signal: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new SamewiseError('cli/not-confirmed', 'nobody is there to confirm the plan', {
      hint: 'look at `samewise plan`, then run `samewise apply --yes`',
    });
  }
  const line = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await line.question('Apply? [y/N] ', { signal });
  line.close();
  if (!/^y(es)?$/i.test(answer.trim())) {
    throw new SamewiseError('cli/not-confirmed', 'nothing was applied');
  }
}
