/** An alert: a source's records come by a schema from which it can no longer be read. */
import type { StreamsOptions } from '../app/streams.ts';
import { paint } from './output.ts';

type SchemaChange = Parameters<StreamsOptions['onSchemaChange']>[0];

/** What has changed, in one line. */
export function printSchemaChange({ source, schemaId, columns }: SchemaChange): string {
  const what = columns.map(({ column, was, is }) =>
    is === null ? `${column} (${was}) is gone` : `${column} was ${was} and is ${is}`,
  );
  const alert = paint(['red', 'bold'], 'alert', process.stderr);
  return `${alert} stream/schema-changed: ${source}, schema ${schemaId}: ${what.join('; ')}. Its records are dead letters.`;
}
