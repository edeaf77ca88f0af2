/** `samewise stream run`: workers with a table that lives on a terminal; elsewhere a line every few seconds. */

import { healthWatch } from '../app/health_watch.ts';
import { StreamMeter } from '../app/stream_meter.ts';
import {
  type Freshness,
  isCaughtUp,
  type SourceStatus,
  streamStatus,
} from '../app/stream_status.ts';
import { sleep } from '../app/streaming.ts';
import { Streams } from '../app/streams.ts';
import { SamewiseError } from '../base/errors.ts';
import { formatCount } from '../base/numbers.ts';
import { formatInstant } from '../base/time.ts';
import type { Session } from './command.ts';
import { healthNotes } from './health_notes.ts';
import { duration, paint, table } from './output.ts';
import { printSchemaChange } from './schema_change.ts';

const REDRAW_MS = 500;
const LINE_MS = 5_000;
/** How often it is asked whether all is caught up. */
const CATCH_UP_MS = 200;

/** Runs the workers of this process until the signal comes or, with `catchUp`, until nothing is left to do. */
export async function runWithMeter(
  { app, out, signal }: Session,
  { sources, catchUp }: { readonly sources: readonly string[] | null; readonly catchUp: boolean },
): Promise<void> {
  const streaming = await app.streaming();
  const meter = new StreamMeter(app.clock);
  const caughtUp = new AbortController();
  const both = AbortSignal.any([signal, caughtUp.signal]);
  const streams = new Streams(streaming, {
    sources,
    observer: meter,
    catchesUp: catchUp,
    onSchemaChange: (change) => out.note(printSchemaChange(change)),
    onFailure: (source, error, restMs) =>
      out.note(`${source}: ${said(error)}; tried again in ${duration(restMs)}`),
  });
  const done = streams.run(both).finally(() => caughtUp.abort());
  const watching = catchUp ? untilCaughtUp() : Promise.resolve();
  // Who only catches up is gone before there is anything to look at.
  const health = catchUp ? null : healthWatch(app, healthNotes(out)).run(both);
  const showing = show();
  await Promise.all([done, watching, showing, health]);
  const status = await streamStatus(streaming, sources);
  out.result(
    status.map(({ source, partitions }) => ({ source, partitions })),
    () => totals(meter),
  );

  async function untilCaughtUp(): Promise<void> {
    while (!both.aborted) {
      if ((await streamStatus(streaming, sources)).every((of) => of.paused || isCaughtUp(of)))
        caughtUp.abort();
      else await sleep(CATCH_UP_MS, both);
    }
  }

  async function show(): Promise<void> {
    if (out.json) return;
    if (!process.stdout.isTTY) {
      for (;;) {
        await sleep(LINE_MS, both);
        if (both.aborted) return;
        out.line(totals(meter));
      }
    }
    const { createLogUpdate } = await import('log-update');
    const draw = createLogUpdate(process.stdout);
    while (!both.aborted) {
      draw(liveTable(meter, await streamStatus(streaming, sources)));
      await sleep(REDRAW_MS, both);
    }
    draw.done();
  }
}

const COLOUR = { fresh: 'green', stale: 'red', 'no promise': 'dim' } as const satisfies Record<
  Freshness,
  string
>;

/** What is going on, as a table. */
export function liveTable(meter: StreamMeter, sources: readonly SourceStatus[]): string {
  const rows = sources.flatMap(({ source, views }) => {
    const of = meter.sources.get(source);
    return views.map((view) => {
      const own = [...meter.views.values()].find((one) => one.view === view.view);
      return [
        source,
        formatCount(of?.recent.rate ?? 0),
        `${view.view}@${view.version}`,
        formatCount(own?.rows ?? 0),
        view.newestEventUs === null ? 'none' : formatInstant(view.newestEventUs),
        own === undefined ? '' : duration(own.lag_ms),
        view.lag,
        paint(COLOUR[view.state], view.state),
      ];
    });
  });
  const head = [
    'source',
    'events/s',
    'view',
    'applied',
    'newest event',
    'arrival → read',
    'to go',
    'freshness',
  ];
  return `${table(head, rows)}\n\n${totals(meter)}`;
}

function totals(meter: StreamMeter): string {
  if (meter.sources.size === 0) return 'waiting for events';
  return [...meter.sources]
    .map(
      ([source, { rows, late, dead, committed, recent }]) =>
        `${source}: ${formatCount(rows)} events (${formatCount(recent.rate)}/s), ${formatCount(committed)} in history, ${formatCount(late)} late, ${formatCount(dead)} dead letters`,
    )
    .join('\n');
}

function said(error: unknown): string {
  return error instanceof SamewiseError
    ? `${error.code}: ${error.message}`
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);
}
