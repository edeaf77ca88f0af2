import type { Command } from 'commander';
import { command, surroundings } from '../command.ts';
import { paint, table } from '../output.ts';

/** `samewise doctor`: tries every part of a project; exit code 3 if something is wrong. */
export function doctor(program: Command): void {
  program.addCommand(
    command(
      'doctor',
      'try every part of the project and say what is wrong; exit code 3 if anything is',
      ['doctor', 'doctor --json'],
    ).action(async (_options, self: Command) => {
      const { doctor: examine } = await import('../../app/doctor.ts');
      const { out, project } = surroundings(self);
      const checks = await examine({ projectDir: project });
      if (checks.some(({ ok }) => !ok)) process.exitCode = 3;
      out.result(checks, () =>
        table(
          ['', 'check', 'found', 'do'],
          checks.map(({ ok, check, detail, hint }) => [
            ok ? paint('green', 'ok') : paint('red', 'bad'),
            check,
            detail,
            hint ?? '',
          ]),
        ),
      );
    }),
  );
}
