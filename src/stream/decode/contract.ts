/** From the bytes of a record to a row of a source. */
import type { SamewiseError } from '../../base/errors.ts';
import type { Column } from '../../types/column.ts';
import type { LogRecord } from '../contract.ts';

/** What a record says: a row whose values are not yet coerced, by column. */
export interface DecodedRow {
  readonly op: 'upsert' | 'retract';
  /** Of a retract only what identifies the event needs to be there. */
  readonly values: Readonly<Record<string, unknown>>;
}

/** One record decoded: a row; null where it says nothing (a tombstone after a delete); an error where it cannot be read. */
export type Decoded = DecodedRow | null | SamewiseError;

/** Records decoded into columns of the source's types, with a row for each. */
export interface DecodedColumns {
  readonly columns: Readonly<Record<string, Column>>;
  /** Records that were decoded by themselves, by number: what the columns hold in their rows means nothing. */
  readonly others: ReadonlyMap<number, Decoded>;
}

/** Decodes the records of one topic. */
export interface Decoder {
  /** In the order of `records`. Rejects only if what decoding needs (a schema registry) cannot be reached: then try again, nothing is wrong with the records. */
  decode(records: readonly LogRecord[]): Promise<Decoded[]>;
  /** The same, faster: where a format and the columns of a source allow it. */
  columns?(records: readonly LogRecord[]): Promise<DecodedColumns>;
}
