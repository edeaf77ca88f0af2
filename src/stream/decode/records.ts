/** What every format does with a record: its limits, its operation, and that one bad record is one error. */
import { SamewiseError } from '../../base/errors.ts';
import { formatBytes } from '../../base/numbers.ts';
import type { Source } from '../../model/definitions.ts';
import type { LogRecord } from '../contract.ts';
import type { Decoded, DecodedRow } from './contract.ts';

/** The header of a record, and the field of a row, that says `upsert` or `retract`. */
export const OP_HEADER = 'samewise-op';
export const OP_FIELD = '__op';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text of bytes. Throws `stream/not-utf8`. */
export function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new SamewiseError('stream/not-utf8', 'the bytes are not valid UTF-8');
  }
}

/** Decodes each record by itself: whatever is thrown for one is its own error, said with its source. */
export function decodeEach(
  source: Source,
  records: readonly LogRecord[],
  maxBytes: number,
  decode: (record: LogRecord, index: number) => DecodedRow | null,
): Decoded[] {
  return records.map((record, i) => {
    try {
      if (record.value !== null && record.value.length > maxBytes) {
        throw new SamewiseError(
          'stream/oversize',
          `the record has ${formatBytes(record.value.length)}; at most ${formatBytes(maxBytes)} are read`,
        );
      }
      return decode(record, i);
    } catch (error) {
      return codedOf(error).at({ source: source.name });
    }
  });
}

/** A poison record must not stop the stream, whatever it makes a library do. */
function codedOf(error: unknown): SamewiseError {
  if (error instanceof SamewiseError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new SamewiseError('stream/unreadable', `the record cannot be read: ${why}`, {
    cause: error,
  });
}

/** What a record does: its header says it, else the row's `__op`, else the source's op column; else it is an upsert. Throws `stream/bad-op`. */
export function operationOf(
  source: Source,
  record: LogRecord,
  field: unknown,
  values: Readonly<Record<string, unknown>>,
): DecodedRow['op'] {
  const header = record.headers.size === 0 ? undefined : record.headers.get(OP_HEADER);
  if (header !== undefined) return checkedOp(textOf(header), OP_HEADER);
  if (field !== undefined && field !== null) return checkedOp(field, OP_FIELD);
  const column = source.op === null ? undefined : values[source.op];
  if (column !== undefined && column !== null) return checkedOp(column, source.op!);
  return 'upsert';
}

function checkedOp(op: unknown, column: string): DecodedRow['op'] {
  if (op === 'upsert' || op === 'retract') return op;
  throw new SamewiseError('stream/bad-op', `${JSON.stringify(op)} is not an operation`, {
    where: { column },
    hint: 'use "upsert" or "retract"',
  });
}
