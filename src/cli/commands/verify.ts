import type { Command } from 'commander';
import type { Leak } from '../../app/leakage.ts';
import type { Mismatch } from '../../app/prove.ts';
import { formatCount } from '../../base/numbers.ts';
import { command, whole, withApp } from '../command.ts';
import { table } from '../output.ts';

/** Exit code of a check that ran and found something. */
const FOUND = 3;

/** How many rows `--leakage` looks at unless told. */
const LEAKAGE_ROWS = 1000;

interface Options {
  readonly online?: number;
  readonly leakage?: number | true;
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
        'verify training.parquet.manifest.json --leakage',
      ],
    )
      .argument('<manifest>')
      .option(
        '--online <rows>',
        'also read so many rows online at their own time: the same bits?',
        whole,
      )
      .option(
        '--leakage [rows]',
        `also compute so many rows (${formatCount(LEAKAGE_ROWS)} unless told) from a history without the future: the same bits?`,
        whole,
      )
      .action((manifest: string, options: Options, self: Command) =>
        withApp(self, async ({ app, out, signal }) => {
          const { ok, findings } = await app.offline.verify(manifest, { signal });
          const { prove } = await import('../../app/prove.ts');
          const { proveNoLeakage } = await import('../../app/leakage.ts');
          const proof =
            options.online === undefined ? null : await prove(app, manifest, options.online);
          const leakage =
            options.leakage === undefined
              ? null
              : await proveNoLeakage(
                  app.offline,
                  manifest,
                  options.leakage === true ? LEAKAGE_ROWS : options.leakage,
                  signal,
                );
          const differs = (proof?.mismatches.length ?? 0) + (leakage?.leaks.length ?? 0);
          if (!ok || differs > 0) process.exitCode = FOUND;
          out.result({ ok: ok && differs === 0, findings, online: proof, leakage }, () =>
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
              ...(leakage === null
                ? []
                : [
                    `Leakage: ${formatCount(leakage.values)} values of ${formatCount(leakage.rows)} rows computed with ${formatCount(leakage.hidden)} events at or after their time taken out, ${formatCount(leakage.leaks.length)} differ.`,
                    ...(leakage.leaks.length > 0 ? [printLeaks(leakage.leaks)] : []),
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

function printLeaks(leaks: readonly Leak[]): string {
  return table(
    ['row', 'at', 'feature', 'training', 'from the past alone'],
    leaks.slice(0, 20).map((leak) => [leak.row, leak.at, leak.feature, leak.training, leak.past]),
  );
}
