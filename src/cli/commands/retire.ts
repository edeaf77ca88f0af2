import type { Command } from 'commander';
import { versionedName } from '../../app/ask.ts';
import { SamewiseError } from '../../base/errors.ts';
import { retire as retireService } from '../../plan/index.ts';
import { command, withApp } from '../command.ts';

/** `samewise retire`: stop serving an older version of a service. */
export function retire(program: Command): void {
  program.addCommand(
    command(
      'retire',
      'stop serving an older version of a service; what only it needs is no longer kept fresh',
      ['retire fraud_v1@1'],
    )
      .argument('<service@version>')
      .option('-m, --message <text>', 'why', '')
      .option('--author <name>', 'who (default: the account that runs this)')
      .action((text: string, options: { message: string; author?: string }, self: Command) =>
        withApp(self, async ({ app, out }) => {
          const { name, version } = versionedName(text);
          if (version === undefined) {
            throw new SamewiseError('cli/bad-option', 'say which version', {
              hint: `write ${name}@1`,
            });
          }
          const revision = await retireService(app.registry, 'featureService', name, version, {
            author: options.author ?? app.config.author,
            message: options.message,
            clock: app.clock,
          });
          out.result(revision, () => `Retired ${text} in revision ${revision.number}.`);
        }),
      ),
  );
}
