import type { Command } from 'commander';
import { type Mismatch, prove } from '../../app/prove.ts';
import { formatCount } from '../../base/numbers.ts';
import { command, whole, withApp } from '../command.ts';
import { table } from '../output.ts';

/** Exit code of a check that ran and found something. */
const FOUND = 3;

interface Options {
  readonly online?: number;
}

/** `samewise verify`: a training set against its manifest, its sources, and the online store. */
export function verify(program: Command): void {
  program.addCommand(
    command(
      'verify',
      'check a training set against its manifest; exit code 3 if something differs',
      [
        'verify training.parquet.manifest.json',
        'verify training.parquet.manifest.json --online 1000',
      ],
    )
      .argument('<manifest>')
      .option(
        '--online <rows>',
        'also read so many rows online at their own time: the same bits?',
        whole,
      )
      .action((manifest: string, options: Options, self: Command) =>
        withApp(self, async ({ app, out, signal }) => {
          const { ok, findings } = await app.offline.verify(manifest, { signal });
          const proof =
            options.online === undefined ? null : await prove(app, manifest, options.online);
          if (!ok || (proof !== null && proof.mismatches.length > 0)) process.exitCode = FOUND;
          out.result({ ok: process.exitCode !== FOUND, findings, online: proof }, () =>
            [
              ok
                ? 'The training set, its labels and its sources are as the manifest says.'
                : findings.map((finding) => `! ${finding}`).join('\n'),
              ...(proof === null
                ? []
                : [
                    `Online: ${formatCount(proof.values)} values of ${formatCount(proof.rows)} rows read at their own time, ${formatCount(proof.mismatches.length)} mismatches.`,
                    ...(proof.mismatches.length > 0 ? [printMismatches(proof.mismatches)] : []),
                  ]),
            ].join('\n'),
          );
        }),
      ),
  );
}

function printMismatches(mismatches: readonly Mismatch[]): string {
  return table(
    ['row', 'at', 'feature', 'training', 'online'],
    mismatches.slice(0, 20).map((m) => [m.row, m.at, m.feature, m.training, m.online]),
  );
}
