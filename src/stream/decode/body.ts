/** Rows of a pushed body: JSON, lines of JSON, or Arrow. */
import { inContext, SamewiseError } from '../../base/errors.ts';
import { parseExactJson } from '../../base/exact_json.ts';
import type { Source } from '../../model/definitions.ts';
import {
  checkDepth,
  columnValue,
  type JsonColumn,
  type JsonObject,
  jsonColumns,
  objectOf,
  own,
  parsed,
} from './json_values.ts';
import { type BodyLimits, checkRowCount, MAX_BODY_ROWS } from './limits.ts';
import { textOf } from './records.ts';

type Read = (
  source: Source,
  body: Uint8Array,
  limits: BodyLimits,
) => JsonObject[] | Promise<JsonObject[]>;

const READERS: Readonly<Record<string, Read>> = {
  'application/json': jsonRows,
  'application/x-ndjson': lineRows,
  'application/ndjson': lineRows,
  'application/jsonl': lineRows,
  'application/vnd.apache.arrow.stream': arrowRows,
  'application/vnd.apache.arrow.file': arrowRows,
};

/**
 * The rows of a body, in order, whose values `coerce` reads. Fields that are no columns stay, to be refused by name.
 * Throws `stream/unsupported-media-type`, `stream/too-many-rows`, and what is wrong with the body as `stream/…` and `types/…`, with the
 * row, or the line of lines of JSON.
 */
export async function rowsOfBody(
  source: Source,
  contentType: string,
  body: Uint8Array,
  limits: BodyLimits = { rows: MAX_BODY_ROWS },
): Promise<JsonObject[]> {
  const read = READERS[contentType.split(';', 1)[0]!.trim().toLowerCase()];
  if (read === undefined) {
    throw new SamewiseError(
      'stream/unsupported-media-type',
      `rows are not read from ${JSON.stringify(contentType)}`,
      { hint: `use one of ${Object.keys(READERS).join(', ')}` },
    );
  }
  return read(source, body, limits);
}

/** An array of objects, or one object. */
function jsonRows(source: Source, body: Uint8Array, limits: BodyLimits): JsonObject[] {
  const value = parsed(parseExactJson, textOf(body));
  const items = Array.isArray(value) ? value : [value];
  checkRowCount(items.length, limits);
  const columns = jsonColumns(source);
  return items.map((item, row) => inContext({ row }, () => jsonRow(columns, item)));
}

function lineRows(source: Source, body: Uint8Array, limits: BodyLimits): JsonObject[] {
  const columns = jsonColumns(source);
  const rows: JsonObject[] = [];
  // No byte of a longer UTF-8 sequence is a line's end.
  for (let start = 0, line = 1; start < body.length; line++) {
    const next = body.indexOf(0x0a, start);
    const end = next < 0 ? body.length : next;
    inContext({ line }, () => {
      const text = textOf(body.subarray(start, end)).trim();
      if (text === '') return;
      checkRowCount(rows.length + 1, limits);
      rows.push(jsonRow(columns, parsed(parseExactJson, text)));
    });
    start = end + 1;
  }
  return rows;
}

function jsonRow(columns: readonly JsonColumn[], value: unknown): JsonObject {
  const row = objectOf(value) as Record<string, unknown>;
  for (const column of columns) {
    const given = own(column, row);
    if (given !== undefined) row[column.name] = columnValue(column, given, true);
    // A row is asked for its columns by name: what every object has is not a value.
    else if (column.inherited) row[column.name] = undefined;
  }
  for (const name of Object.keys(row)) checkDepth(row[name], name);
  return row;
}

/** Arrow is loaded when it is first used: it takes a tenth of a second. */
async function arrowRows(
  source: Source,
  body: Uint8Array,
  limits: BodyLimits,
): Promise<JsonObject[]> {
  const { rowsOfArrow } = await import('./arrow_rows.ts');
  return rowsOfArrow(source, body, limits);
}
