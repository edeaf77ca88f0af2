import type { Command } from 'commander';
import type { ToldEvent } from '../../app/prove_page.ts';
import type { ServedProof } from '../../app/prove_served.ts';
import { parseDuration } from '../../base/duration.ts';
import { formatCount } from '../../base/numbers.ts';
import { formatInstant } from '../../base/time.ts';
import { command, whole, withApp } from '../command.ts';
import { duration, table } from '../output.ts';

/** Exit code of a check that ran and found something. */
const FOUND = 3;
/** What is printed for people; --json has more. */
const SHOWN = 20;
const SAMPLE = 10_000;

const REASONS: Record<string, string> = {
  'not-in-history': 'history is not as far as their pages were, or no longer has it',
  'not-registered': 'their view or service is not in the registry',
  'too-large': 'a key has too many deliveries',
};

interface Options {
  readonly service?: string;
  readonly since?: number;
  readonly sample: number;
}

/** `samewise prove`: what was served against history. */
export function prove(program: Command): void {
  program.addCommand(
    command(
      'prove',
      'compute logged vectors again from history, with what their pages had absorbed; exit code 3 if a bit differs',
      ['prove', 'prove --service fraud_v1 --since 1h', 'prove --sample 1000 --json'],
    )
      .option('--service <name>', 'only vectors of this service')
      .option('--since <duration>', 'only what was served so long ago, such as 1h', parseDuration)
      .option('--sample <n>', 'at most so many vectors, spread evenly', whole, SAMPLE)
      .action((options: Options, self: Command) =>
        withApp(self, async ({ app, out, signal }) => {
          const { proveServed } = await import('../../app/prove_served.ts');
          const progress = out.progress('prove');
          const found = await proveServed(app, {
            service: options.service ?? null,
            sinceUs: options.since === undefined ? 0 : app.clock.nowUs() - options.since,
            limit: options.sample,
            signal,
            onProgress: ({ view, version, reads }) =>
              progress.update(reads, null, `${view}@${version}`),
          });
          progress.done();
          if (found.mismatches > 0) process.exitCode = FOUND;
          out.result(found, () => printProof(found));
        }),
      ),
  );
}

function printProof(proof: ServedProof): string {
  if (proof.vectors === 0)
    return 'No vector is logged. A server logs one in a thousand; `"featureLog": "file:.samewise/feature-log?share=1"` in samewise.config.json makes it all.';
  const rows = proof.views.map((of) => [
    `${of.view}@${of.version}`,
    ...[of.reads, of.values, of.mismatches, of.behind, of.later].map(formatCount),
    ...Object.values(of.explained).map(formatCount),
  ]);
  const head = ['view', 'reads', 'values', 'mismatches', 'behind', 'later'];
  const parts = [
    table([...head, 'late', 'built', 'materialized'], rows),
    `${formatCount(proof.values)} values of ${formatCount(proof.proven)} served vectors, computed again from history: ${formatCount(proof.mismatches)} mismatches.`,
    ...Object.entries(proof.unprovable).map(
      ([why, count]) => `${formatCount(count)} vectors cannot be proven: ${REASONS[why] ?? why}.`,
    ),
  ];
  const told = proof.told.slice(0, SHOWN).map((one) => {
    const where = [one.service, one.view, one.key].filter((part) => part !== null && part !== '');
    const events = one.events.slice(0, 3).map((event) => `    as if it ${suspicion(event)}`);
    return [
      `! ${one.requestId}[${one.row}] ${formatInstant(one.servedUs)} ${where.join(' ')}: ${one.feature} was ${one.served}, is ${one.expected}`,
      ...(events.length === 0 ? ['    no single event explains it'] : events),
    ].join('\n');
  });
  const stale = proof.stale.slice(0, SHOWN).map((one) => {
    const events = one.events.slice(0, 3).map((event) => `    ${lateness(event, one.servedUs)}`);
    return [
      `${one.requestId}[${one.row}] ${formatInstant(one.servedUs)} ${one.view} ${one.key}`,
      ...events,
    ].join('\n');
  });
  if (told.length > 0) parts.push(told.join('\n'));
  if (stale.length > 0)
    parts.push(`Right when they were served, and other by what came since:\n${stale.join('\n')}`);
  return parts.join('\n\n');
}

function suspicion(event: ToldEvent): string {
  const place = event.place && ` (${event.place.partition}/${event.place.position})`;
  return `${event.served === 'has' ? 'had' : 'lacked'} event ${event.id} of ${formatInstant(event.timeUs)}${place ?? ''}`;
}

function lateness({ id, timeUs, arrivalUs, served, late }: ToldEvent, servedUs: number): string {
  const ms = Math.abs(arrivalUs - servedUs) / 1000;
  const what =
    served === 'lacks'
      ? `lacks event ${id} of ${formatInstant(timeUs)}, which`
      : `has event ${id} of ${formatInstant(timeUs)}, whose end`;
  if (arrivalUs >= servedUs) return `${what} arrived ${duration(ms)} later`;
  const why = late
    ? 'came too late for pages: `samewise reconcile --repair`'
    : 'was applied after it';
  return `${what} arrived ${duration(ms)} before the read and ${why}`;
}
