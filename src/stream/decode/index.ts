/** From the bytes of records and of pushed bodies to rows. */
import { assert } from '../../base/errors.ts';
import type { Source } from '../../model/definitions.ts';
import type { Decoder } from './contract.ts';
import { jsonDecoder } from './json.ts';
import { MAX_RECORD_BYTES } from './limits.ts';

export { rowsOfBody } from './body.ts';
export type { Decoded, DecodedRow, Decoder } from './contract.ts';
export { type BodyLimits, MAX_BODY_ROWS, MAX_RECORD_BYTES } from './limits.ts';
export { OP_FIELD, OP_HEADER } from './records.ts';

export interface DecoderOptions {
  /** A record whose value has more bytes is `stream/oversize`; 1 MiB by default. */
  readonly maxBytes?: number;
}

/** The decoder of a source's records, by its stream's format. */
export function decoderFor(source: Source, options: DecoderOptions = {}): Decoder {
  const maxBytes = options.maxBytes ?? MAX_RECORD_BYTES;
  switch (source.stream.format) {
    case 'json':
      return jsonDecoder(source, maxBytes);
    default:
      assert(false, `no decoder of ${source.stream.format} yet`);
  }
}
