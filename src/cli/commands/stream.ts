import type { Command } from 'commander';
import type { SourceHealth } from '../../app/view_health.ts';
import { SamewiseError } from '../../base/errors.ts';
import { formatCount } from '../../base/numbers.ts';
import { formatInstant, parseInstant } from '../../base/time.ts';
import { command, type Session, whole, withApp } from '../command.ts';
import { duration, table } from '../output.ts';

/** `samewise stream …`: run workers, and tell them what to do. */
export function stream(program: Command): void {
  const group = command('stream', 'run and steer the workers that apply events', [
    'stream run',
    'stream status',
    'stream rewind transactions --to 2024-03-20T12:00:00Z',
    'stream dead-letters transactions',
  ]);
  run(group);
  group.addCommand(statusCommand('status'));
  steer(group, 'pause', 'stop applying the events of a source; they wait in the log', true);
  steer(group, 'resume', 'go on with a source that is paused', false);
  rewind(group);
  deadLetters(group);
  program.addCommand(group);
}

/** `samewise status`: how fresh the features are. */
export function status(program: Command): void {
  program.addCommand(statusCommand('status'));
}

function run(group: Command): void {
  group.addCommand(
    command('run', 'apply events as they come, until a signal ends it', [
      'stream run',
      'stream run transactions --catch-up',
    ])
      .argument('[sources...]', 'only these (default: all)')
      .option('--catch-up', 'end when all that is in the log now is applied and in history')
      .action((sources: string[], options: { catchUp?: boolean }, self: Command) =>
        withApp(self, async (session) => {
          const { runWithMeter } = await import('../stream_table.ts');
          await runWithMeter(session, {
            sources: sources.length === 0 ? null : sources,
            catchUp: options.catchUp === true,
          });
        }),
      ),
  );
}

function statusCommand(name: string): Command {
  return command(
    name,
    'how far events are applied, and whether features are as fresh as promised',
    ['status', 'status transactions --json'],
  )
    .argument('[sources...]', 'only these (default: all)')
    .action((sources: string[], _: object, self: Command) =>
      withApp(self, async ({ app, out }) => {
        const { sourceHealth } = await import('../../app/view_health.ts');
        const found = await sourceHealth(
          await app.streaming(),
          sources.length === 0 ? null : sources,
        );
        out.result(found, () => printStatus(found));
      }),
    );
}

/** What `samewise status` shows. */
export function printStatus(sources: readonly SourceHealth[]): string {
  if (sources.length === 0) return 'No sources are registered.';
  const partitions = sources.flatMap(({ source, paused, partitions: all }) =>
    all.map(({ partition, next, history, historyLag }) => [
      paused ? `${source} (paused)` : source,
      partition,
      next,
      formatCount(history?.rows ?? 0),
      historyLag,
      formatCount(history?.late ?? 0),
      formatCount(history?.deadLetters ?? 0),
    ]),
  );
  const views = sources.flatMap((source) =>
    source.views.map((view) => [
      `${view.view}@${view.version}`,
      source.source,
      view.newestEventUs === null ? 'none' : formatInstant(view.newestEventUs),
      view.lag,
      view.behind_ms === 0 ? '' : duration(view.behind_ms),
      view.freshness_ms === null ? view.state : `${view.state} (${duration(view.freshness_ms)})`,
    ]),
  );
  const waiting = sources.flatMap(({ views: all }) =>
    all.flatMap(({ view, version, waitsFor }) =>
      waitsFor.map((other) =>
        other.why === 'behind'
          ? `${view}@${version} waits for ${other.source}: ${other.view} has not taken all its events`
          : `${view}@${version} waits for ${other.source}: run \`samewise materialize ${other.view}\``,
      ),
    ),
  );
  const promises = sources.flatMap(({ views: all }) =>
    all.flatMap(({ view, version, promises: own }) =>
      own.map(({ feature, within_ms, state, sinceUs, times_stale_7d, stale_ms_7d }) => [
        feature === null ? `${view}@${version}` : `${view}@${version}:${feature}`,
        duration(within_ms),
        state,
        sinceUs === null ? '' : formatInstant(Math.floor(sinceUs / 1e6) * 1e6),
        times_stale_7d === 0
          ? 'never'
          : `${formatCount(times_stale_7d)} times, ${duration(stale_ms_7d)}`,
      ]),
    ),
  );
  const mismatches = sources.flatMap(({ views: all }) =>
    all.flatMap(({ view, version, mismatches: own }) =>
      own.map(({ by, ratio, compared, different, causes, atUs }) => [
        `${view}@${version}`,
        by === 'prove' ? 'served vectors' : 'pages',
        `${Number((ratio * 100).toPrecision(3))} %`,
        `${formatCount(different)} of ${formatCount(compared)} ${by === 'prove' ? 'values' : 'keys'}`,
        Object.entries(causes)
          .filter(([, count]) => count > 0)
          .map(([cause, count]) => `${cause} ${formatCount(count)}`)
          .join(', '),
        formatInstant(Math.floor(atUs / 1e6) * 1e6),
      ]),
    ),
  );
  const of = (head: string[], rows: unknown[][]) => (rows.length === 0 ? [] : [table(head, rows)]);
  return [
    ...of(['source', 'partition', 'log end', 'in history', 'to go', 'late', 'dead'], partitions),
    ...of(['view', 'source', 'newest event', 'to go', 'behind', 'freshness'], views),
    ...(waiting.length === 0 ? [] : [waiting.join('\n')]),
    ...of(['promise', 'within', 'state', 'since', 'stale in 7 days'], promises),
    ...of(
      ['view', 'compared with history', 'mismatch', 'differ', 'events by cause', 'at'],
      mismatches,
    ),
  ].join('\n\n');
}

function steer(group: Command, name: string, description: string, paused: boolean): void {
  group.addCommand(
    command(name, description, [`stream ${name} transactions`])
      .argument('<source>')
      .action((source: string, _: object, self: Command) =>
        withApp(self, async ({ app, out }) => {
          const { pauseSource } = await import('../../app/stream_control.ts');
          await pauseSource(await app.streaming(), source, paused);
          out.result({ source, paused }, () =>
            paused
              ? `${source} is paused: events wait in the log. Workers see it within a second.`
              : `${source} goes on.`,
          );
        }),
      ),
  );
}

function rewind(group: Command): void {
  group.addCommand(
    command('rewind', 'apply the events of a source once more from a time or position on', [
      'stream rewind transactions --to 2024-03-20T12:00:00Z',
      'stream rewind transactions --to 120000 --partition 0',
      'stream rewind transactions --to beginning',
    ])
      .argument('<source>')
      .requiredOption(
        '--to <where>',
        'a time at which the log took events, a position, or "beginning"',
      )
      .option('--partition <name>', 'with a position: of which partition')
      .action((source: string, options: { to: string; partition?: string }, self: Command) =>
        withApp(self, (session) => rewindTo(session, source, options)),
      ),
  );
}

async function rewindTo(
  { app, out }: Session,
  name: string,
  { to, partition }: { to: string; partition?: string },
): Promise<void> {
  const { rewindSource } = await import('../../app/stream_control.ts');
  const target =
    to === 'beginning'
      ? { timeUs: 0 }
      : partition === undefined
        ? { timeUs: parseInstant(to) }
        : { positions: new Map([[partition, BigInt(whole(to))]]) };
  const places = await rewindSource(await app.streaming(), name, target);
  const result = [...places].map(([of, at]) => ({
    partition: of,
    after: at === null ? null : at.position,
  }));
  out.result({ source: name, partitions: result }, () =>
    [
      `${name} is applied once more; what is right already does not change.`,
      ...result.map(
        ({ partition: of, after }) =>
          `  partition ${of}: from ${after === null ? 'the beginning' : `position ${after + 1n}`}`,
      ),
    ].join('\n'),
  );
}

function deadLetters(group: Command): void {
  group.addCommand(
    command('dead-letters', 'records that could not be read: list, replay, discard', [
      'stream dead-letters transactions',
      'stream dead-letters transactions --json > letters.json',
      'stream dead-letters transactions --replay',
      'stream dead-letters transactions --replay-with mended.ndjson',
      'stream dead-letters transactions --discard',
    ])
      .argument('<source>')
      .option('--all', 'also those that were replayed or discarded')
      .option('--limit <n>', 'at most so many', whole, 50)
      .option('--replay', 'append the open ones to the log again, as they are')
      .option('--replay-with <file>', 'append these events (JSON lines) in their stead')
      .option('--discard', 'mark the open ones as done with')
      .action((source: string, options: DeadLetterOptions, self: Command) =>
        withApp(self, (session) => deadLettersOf(session, source, options)),
      ),
  );
}

interface DeadLetterOptions {
  readonly all?: boolean;
  readonly limit: number;
  readonly replay?: boolean;
  readonly replayWith?: string;
  readonly discard?: boolean;
}

async function deadLettersOf(
  { app, out }: Session,
  source: string,
  options: DeadLetterOptions,
): Promise<void> {
  const { listLetters, settleLetters } = await import('../../app/dead_letters.ts');
  const streaming = await app.streaming();
  const chosen = [options.replay, options.replayWith, options.discard].filter(Boolean);
  if (chosen.length > 1) {
    throw new SamewiseError(
      'cli/bad-option',
      'replay, replay with a file, or discard: one of them',
      {
        hint: 'list first, without any of them',
      },
    );
  }
  if (chosen.length === 1) {
    const how = options.discard ? 'discard' : { file: options.replayWith ?? null };
    const done = await settleLetters(streaming, source, how);
    out.result(done, () =>
      options.discard
        ? `${formatCount(done.settled)} dead letters are marked as discarded.`
        : `${formatCount(done.appended)} records are in the log again, ${formatCount(done.settled)} dead letters are settled.`,
    );
    return;
  }
  const letters = await listLetters(streaming, source, options);
  out.result(letters, () =>
    letters.length === 0
      ? 'No dead letters.'
      : table(
          ['partition', 'position', 'arrived', 'code', 'column', 'state', 'what', 'payload'],
          letters.map((letter) => [
            letter.partition,
            letter.position,
            formatInstant(Math.floor(letter.arrivalUs / 1e6) * 1e6),
            letter.code,
            letter.column,
            letter.state,
            letter.message,
            letter.payload?.slice(0, 60) ?? '',
          ]),
        ),
  );
}
