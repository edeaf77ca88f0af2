import { extname, resolve } from 'node:path';
import type { Command } from 'commander';
import { ask } from '../../app/ask.ts';
import type { App } from '../../app/open.ts';
import { parseDuration } from '../../base/duration.ts';
import { SamewiseError } from '../../base/errors.ts';
import { formatBytes, formatCount } from '../../base/numbers.ts';
import { US_PER_MINUTE } from '../../base/time.ts';
import type { BatchLocation } from '../../model/definitions.ts';
import { FILE_ENDINGS, fileTypeOf } from '../../model/index.ts';
import type { FileOutput, Knowledge, TrainingResult } from '../../offline/contract.ts';
import { currentCatalog } from '../../plan/index.ts';
import { command, instant, withApp } from '../command.ts';
import { duration, type Output, type ProgressLine, table } from '../output.ts';

interface TrainOptions {
  readonly service?: string;
  readonly features?: string;
  readonly labels: string;
  readonly time?: string;
  readonly fromLog?: boolean;
  readonly requestId?: string;
  readonly row?: string;
  readonly within: number;
  readonly out: string;
  readonly format?: FileOutput['format'];
  readonly through?: boolean;
  readonly knowledge: Knowledge;
}

/** `samewise train`: a training set that is correct at each label's point in time. */
export function train(program: Command): void {
  program.addCommand(
    command('train', 'build a training set: one row for each label, features as of its time', [
      'train --service fraud_v1 --labels labels.csv --time at --out training.parquet',
      'train --features customer_spending:avg_amount_7d --labels "labels/*.parquet" --time at --out t.csv',
      'train --service fraud_v1 --from-log --labels outcomes.csv --request-id request_id --out served.parquet',
      'train --service fraud_v1@1 --labels "sql:select * from \'labels.csv\' where is_fraud" --time at --out t.arrow',
    ])
      .option('--service <name>', 'a feature service, or service@version')
      .option('--features <refs>', 'instead: view:feature,view:feature')
      .requiredOption(
        '--labels <where>',
        'a Parquet, CSV or JSON lines file, folder or glob, or sql:<query>',
      )
      .option('--time <column>', 'the label column that holds the point in time')
      .requiredOption('--out <file>', 'where the training set goes: .parquet, .csv or .arrow')
      .option('--format <format>', 'parquet, csv or arrow (default: by the name of the file)')
      .option(
        '--through',
        'events at the very time of a label count too (default: only those before)',
      )
      .option(
        '--knowledge <which>',
        'final: all that is known now; as-served: what had arrived by then',
        'final',
      )
      .option(
        '--from-log',
        'take the values that were served, from the feature log; the newest vector served to the entity by --time, or of --request-id',
      )
      .option('--request-id <column>', 'with --from-log: the label column that names the request')
      .option('--row <column>', "… and the one with the place among the request's entities")
      .option(
        '--within <duration>',
        'with --time: how old a vector may be',
        parseDuration,
        US_PER_MINUTE,
      )
      .action((options: TrainOptions, self: Command) =>
        withApp(self, async ({ app, out, signal }) => {
          if (options.fromLog) return trainFromLog(app, out, signal, options);
          const { time } = options;
          if (time === undefined) throw new SamewiseError('cli/bad-option', 'say --time');
          const what = options.service ?? options.features;
          if (what === undefined || (options.service && options.features)) {
            throw new SamewiseError('cli/bad-option', 'say --service or --features');
          }
          if (options.knowledge !== 'final' && options.knowledge !== 'as-served') {
            throw new SamewiseError(
              'cli/bad-option',
              `--knowledge ${options.knowledge} is neither final nor as-served`,
            );
          }
          const { catalog, members, service } = ask(await app.registry.load(), what);
          const started = performance.now();
          const progress = out.progress('train');
          const result = await app.offline
            .train({
              catalog,
              members,
              service,
              labels: labelsAt(options.labels),
              timeColumn: time,
              through: options.through === true,
              knowledge: options.knowledge,
              output: fileOutput(options.out, options.format),
              onProgress: (p) => progress.update(p.rows, p.totalRows, p.phase),
              signal,
            })
            .finally(() => progress.done());
          printTraining(out, result, performance.now() - started);
        }),
      ),
  );
}

async function trainFromLog(
  app: App,
  out: Output,
  signal: AbortSignal,
  options: TrainOptions,
): Promise<void> {
  const { service, requestId, row, time, within } = options;
  if (service === undefined)
    throw new SamewiseError('cli/bad-option', 'what was served is by service: say --service');
  if ((requestId === undefined) === (time === undefined))
    throw new SamewiseError('cli/bad-option', 'say --request-id or --time', {
      hint: 'a label names its request, or its entity was served shortly before its time',
    });
  const { trainServed } = await import('../../app/train_served.ts');
  const started = performance.now();
  const progress = out.progress('train');
  const made = await trainServed(app, service, {
    labels: labelsAt(options.labels),
    match:
      requestId === undefined
        ? { by: 'entity', timeColumn: time!, withinUs: within }
        : { by: 'request', requestColumn: requestId, rowColumn: row ?? null },
    output: fileOutput(options.out, options.format),
    ...running(progress),
    signal,
  }).finally(() => progress.done());
  const missing = made.rows - made.matched;
  if (missing > 0)
    out.note(
      `warning: of ${formatCount(missing)} labels no vector is in the log; their features are null`,
    );
  const ms = performance.now() - started;
  out.result({ ...made, missing, duration_ms: Math.round(ms) }, () =>
    table(
      ['what', ''],
      [
        ['training set', made.path],
        ['manifest', made.manifestPath],
        ['rows', formatCount(made.rows)],
        ...Object.entries(made.versions).map(([version, rows]) => [
          `served by ${service.split('@')[0]}@${version}`,
          formatCount(rows),
        ]),
        ['not in the log', formatCount(missing)],
        ['size', formatBytes(made.bytes)],
        ['took', duration(ms)],
      ],
    ),
  );
}

/** `samewise rebuild`: the training set of a manifest, again. */
export function rebuild(program: Command): void {
  program.addCommand(
    command(
      'rebuild',
      'build the training set of a manifest again: the same bytes if nothing changed',
      ['rebuild training.parquet.manifest.json --out again.parquet'],
    )
      .argument('<manifest>')
      .option('--out <file>', 'where it goes (default: where it was)')
      .action((manifest: string, options: { out?: string }, self: Command) =>
        withApp(self, async ({ app, out, signal }) => {
          const started = performance.now();
          const progress = out.progress('rebuild');
          const result = await app.offline
            .rebuild(manifest, options.out ?? null, { ...running(progress), signal })
            .finally(() => progress.done());
          printTraining(out, result, performance.now() - started);
        }),
      ),
  );
}

/** `samewise snapshot`: a view's values for every entity at one time. */
export function snapshot(program: Command): void {
  program.addCommand(
    command('snapshot', "write a view's values for all entities at one time", [
      'snapshot customer_spending --at 2024-03-20T00:00:00Z --out snapshot.parquet',
    ])
      .argument('<view>')
      .requiredOption('--at <time>', 'the point in time (ISO 8601)', instant)
      .requiredOption('--out <file>', '.parquet, .csv or .arrow')
      .action((view: string, options: { at: number; out: string }, self: Command) =>
        withApp(self, async ({ app, out, signal }) => {
          const catalog = currentCatalog(await app.registry.load());
          const progress = out.progress('snapshot');
          const result = await app.offline
            .snapshot({
              catalog,
              view,
              atUs: options.at,
              output: fileOutput(options.out),
              ...running(progress),
              signal,
            })
            .finally(() => progress.done());
          out.result(
            { ...result, path: options.out },
            () =>
              `${options.out}: ${formatCount(result.rows)} entities, ${formatBytes(result.bytes)}`,
          );
        }),
      ),
  );
}

function running(progress: ProgressLine) {
  return {
    onProgress: (p: { rows: number; totalRows: number | null; phase: string }) =>
      progress.update(p.rows, p.totalRows, p.phase),
  };
}

function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(text);
}

/** A file, folder or glob (from the working folder on), a URL, or an `sql:` query (whose paths start at the project). */
export function labelsAt(text: string): BatchLocation {
  if (text.startsWith('sql:')) return { type: 'query', sql: text.slice(4) };
  const type = fileTypeOf(text);
  if (type === undefined) {
    throw new SamewiseError('cli/bad-option', `cannot tell the type of ${text}`, {
      hint: `use a file, folder or glob that ends in ${FILE_ENDINGS.join(', ')}`,
    });
  }
  return {
    type,
    path: isUrl(text) ? text : resolve(text),
    hivePartitioned: /\/[^/=]+=[^/]*(\/|$)/.test(text),
  };
}

function fileOutput(path: string, format?: FileOutput['format']): FileOutput {
  const found = format ?? extname(path).slice(1);
  if (found !== 'parquet' && found !== 'csv' && found !== 'arrow') {
    throw new SamewiseError('cli/bad-option', `cannot tell the format of ${path}`, {
      hint: 'call it .parquet, .csv or .arrow, or say --format',
    });
  }
  return { format: found, path: resolve(path) };
}

function printTraining(out: Output, result: TrainingResult, ms: number): void {
  for (const warning of result.warnings) out.note(`warning: ${warning}`);
  out.result({ ...result, duration_ms: Math.round(ms) }, () =>
    table(
      ['what', ''],
      [
        ['training set', result.path],
        ['manifest', result.manifestPath],
        ['rows', formatCount(result.rows)],
        ['size', formatBytes(result.bytes)],
        ...Object.entries(result.scannedRows).map(([source, rows]) => [
          `scanned from ${source}`,
          `${formatCount(rows)} rows`,
        ]),
        ['took', duration(ms)],
      ],
    ),
  );
}
