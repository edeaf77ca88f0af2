import type { Command } from 'commander';
import { command, surroundings } from '../command.ts';

interface Options {
  readonly from: string;
  readonly to: string;
}

/** `samewise registry migrate`. */
export function registry(program: Command): void {
  const group = command('registry', 'where definitions are kept', [
    'registry migrate --from sqlite:.samewise/registry.db --to postgres://samewise@db/features',
  ]);
  group.addCommand(
    command('migrate', 'copy everything that a registry knows into an empty one', [
      'registry migrate --from sqlite:.samewise/registry.db --to postgres://samewise@db/features',
    ])
      .requiredOption('--from <url>', 'the registry as it is')
      .requiredOption('--to <url>', 'an empty one')
      .action(async (options: Options, self: Command) => {
        const { out, project } = surroundings(self);
        const { migrateRegistry } = await import('../../app/migrate_registry.ts');
        const done = await migrateRegistry(project, options);
        const what = `${done.revisions} revisions, ${done.objects} versions of definitions, ${done.jobs} jobs`;
        out.result(done, () =>
          done.moved ? `Copied ${what}.` : `Nothing to do: ${what} are there already.`,
        );
      }),
  );
  program.addCommand(group);
}
