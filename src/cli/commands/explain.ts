import type { Command } from 'commander';
import type { Explanation } from '../../app/explain.ts';
import type { ExplainedLookup } from '../../app/explain_lookup.ts';
import { formatDuration } from '../../base/duration.ts';
import { SamewiseError } from '../../base/errors.ts';
import { formatCount } from '../../base/numbers.ts';
import { command, instant, pairs, whole, withApp } from '../command.ts';
import { duration, table } from '../output.ts';

interface Options {
  readonly key?: Record<string, string>;
  readonly request?: Record<string, string>;
  readonly service?: string;
  readonly at?: number;
  readonly through?: boolean;
  readonly training?: string;
  readonly row?: number;
  readonly feature?: string;
  readonly events: number;
}

/** Exit code of a check that ran and found something. */
const FOUND = 3;

/** `samewise explain`: why a feature, or a value of a training set, is what it is. */
export function explain(program: Command): void {
  program.addCommand(
    command(
      'explain',
      'why this value? The events that counted, and whether history says the same; exit code 3 if not',
      [
        'explain customer_spending:avg_amount_7d --key customer_id=7',
        'explain customer_spending:avg_amount_7d --key customer_id=7 --at 2024-03-20T12:00:00Z --events 100',
        'explain amount_to_mean --service fraud_v1 --key customer_id=7 --request amount=25',
        'explain --training training.parquet --row 12 --feature avg_amount_7d',
      ],
    )
      .argument('[feature]', 'view:feature; with --service the name of one of its outputs')
      .option('--service <name>', 'a feature service, or service@version')
      .option(
        '-k, --key <name=value>',
        'a part of the entity key (repeat for composite keys)',
        pairs,
      )
      .option('-r, --request <name=value>', 'request data for on-demand features (repeat)', pairs)
      .option('--at <time>', 'as of then (default: now)', instant)
      .option('--through', 'events at that very time count too')
      .option('--training <file>', 'instead: a training set, or its manifest')
      .option('--row <n>', 'its row, from 0', whole)
      .option('--feature <name>', 'its column')
      .option('--events <n>', 'how many of the events that counted are told', whole, 20)
      .action((feature: string | undefined, options: Options, self: Command) =>
        withApp(self, async ({ app, out, signal }) => {
          const { explainTexts, explainTraining } = await import('../../app/explain.ts');
          const { events } = options;
          let told: Explanation;
          if (options.training !== undefined) {
            if (options.row === undefined || options.feature === undefined)
              throw new SamewiseError('cli/bad-option', 'say --row and --feature');
            const { training, row, feature } = options;
            told = await explainTraining(app, { training, row, feature }, { events, signal });
          } else {
            if (feature === undefined)
              throw new SamewiseError('cli/bad-option', 'say which feature', {
                hint: 'view:feature, or --training <file> --row <n> --feature <name>',
              });
            told = await explainTexts(
              app,
              { ...options.key, ...options.request },
              {
                feature,
                service: options.service ?? null,
                atUs: options.at ?? null,
                through: options.through === true,
                events,
                signal,
              },
            );
          }
          if (!told.agrees) process.exitCode = FOUND;
          out.result(told, () => print(told));
        }),
      ),
  );
}

function print(told: Explanation): string {
  const { service } = told;
  const lines = [
    table(
      ['what', ''],
      [
        ['feature', told.feature],
        ...(service === null ? [] : [['service', `${service.name}@${service.version}`]]),
        ['value', `${JSON.stringify(told.value)} (${told.status})`],
        ['as of', `${told.at} (events before it count)`],
        ...(told.knowledge === 'final' ? [] : [['knowledge', told.knowledge]]),
        [
          'from history',
          told.agrees ? 'the same' : `${JSON.stringify(told.recomputed)}: they differ`,
        ],
      ],
    ),
    ...told.lookups.map(printLookup),
  ];
  for (const { feature, expression, inputs, value } of told.computations)
    lines.push(
      `${feature} = ${expression} = ${JSON.stringify(value)}`,
      table(
        ['input', 'value', 'from'],
        inputs.map((input) => [input.name, JSON.stringify(input.value), input.from]),
      ),
    );
  return lines.join('\n\n');
}

function printLookup(told: ExplainedLookup): string {
  const { online, newest, window, counted, skipped } = told;
  const from = window.from ?? 'the beginning';
  const last = window.last === null ? '' : `, of these the newest ${formatCount(window.last)}`;
  const rows: string[][] = [
    ['feature', told.version === null ? told.feature : `${told.feature} (version ${told.version})`],
    ['definition', told.definition],
    ...(told.where === null ? [] : [['where', told.where]]),
    ['key', told.key ?? 'not known'],
    ...told.keys
      .filter((part) => !part.from.startsWith('request.'))
      .map((part) => ['', `${part.name} is ${part.from}`]),
    ...told.looked_up.map((one) => [
      'looked up',
      `${one.column} = ${one.from} by ${one.by.join(', ')}`,
    ]),
    ['window', `from ${from} to before ${window.to}${last}`],
    [
      'counted',
      `${formatCount(counted)} events${skipped === 0 ? '' : `, ${formatCount(skipped)} of them null`}`,
    ],
    ['from history', `${JSON.stringify(told.recomputed.value)} (${told.recomputed.status})`],
  ];
  if (online !== null) {
    rows.push(['online', `${JSON.stringify(online.value)} (${online.status})`]);
    for (const part of online.parts)
      rows.push([
        part.block === null ? part.kind : `${part.kind} ${part.block}`,
        `${formatCount(part.rows)} events, ${part.from ?? 'the beginning'} to ${part.to}: ${JSON.stringify(part.value)}`,
      ]);
    for (const [partition, position] of Object.entries(online.positions))
      rows.push(['has come to', `${partition} at ${position}`]);
  }
  if (newest !== null)
    rows.push([
      'newest event',
      `${newest.event_time}, ${duration(newest.age_ms)} before the read; it arrived ${duration(newest.arrived_after_ms)} after it happened`,
    ]);
  const { freshness } = told;
  if (freshness !== null)
    rows.push([
      'freshness',
      `${freshness.state}, within ${formatDuration(freshness.within_ms * 1000)}`,
    ]);
  const lines = [table(['what', ''], rows)];
  if (told.events.length > 0)
    lines.push(
      table(
        ['event', 'time', 'arrived', 'input', 'row'],
        told.events.map((event) => [
          JSON.stringify(event.id),
          event.event_time,
          event.arrival + (event.late ? ' (late)' : ''),
          event.input === undefined ? '' : JSON.stringify(event.input),
          JSON.stringify(event.columns),
        ]),
      ),
    );
  if (told.differences.length > 0)
    lines.push(
      table(
        ['event', 'time', 'arrived', 'only in'],
        told.differences.map((one) => [
          JSON.stringify(one.id),
          one.event_time,
          one.arrival,
          one.only === 'other' ? 'both, with other content' : one.only,
        ]),
      ),
    );
  return lines.join('\n');
}
