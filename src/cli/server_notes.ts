/** What those who run a server are told while it runs, as notes. */
import type { ServerSetup } from '../app/server.ts';
import { SamewiseError } from '../base/errors.ts';
import { healthNotes } from './health_notes.ts';
import { duration, type Output } from './output.ts';
import { printSchemaChange } from './schema_change.ts';

export function serverNotes(
  out: Output,
): Pick<ServerSetup, 'health' | 'onSchemaChange' | 'onStreamFailure' | 'onFailure'> {
  return {
    health: healthNotes(out),
    onSchemaChange: (change) => out.note(printSchemaChange(change)),
    onStreamFailure: (source, error, restMs) =>
      out.note(
        `${source}: ${error instanceof Error ? error.message : String(error)}; tried again in ${duration(restMs)}`,
      ),
    onFailure: (error, { id, method, url }) =>
      out.note(`${method} ${url}${id === undefined ? '' : ` (request ${id})`}: ${told(error)}`),
  };
}

/** An error with a code says what it is about; any other says where it came from. */
function told(error: unknown): string {
  if (error instanceof SamewiseError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? String(error.stack) : String(error);
}
