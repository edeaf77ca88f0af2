/** What those who run workers are told of the health of views, as notes. */
import type { HealthOptions } from '../app/health_watch.ts';
import type { FoundMismatch } from '../app/mismatch_sampler.ts';
import { SamewiseError } from '../base/errors.ts';
import { formatInstant } from '../base/time.ts';
import type { Output } from './output.ts';

export function healthNotes(out: Output): HealthOptions {
  return {
    onMismatch: (found) => out.note(printMismatch(found)),
    onFailure: (view, error) =>
      out.note(`${view} could not be compared with history: ${said(error)}`),
    onLevelFailure: (error) => out.note(`service levels could not be looked at: ${said(error)}`),
  };
}

function printMismatch({ view, version, key, cause, event }: FoundMismatch): string {
  const what =
    event === null ? '' : `, event ${event.id}, which happened ${formatInstant(event.timeUs)}`;
  return `${view}@${version} differs from history at ${key}: ${cause}${what}; see \`samewise reconcile ${view}\``;
}

function said(error: unknown): string {
  if (error instanceof SamewiseError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
