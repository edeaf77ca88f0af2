/** From configuration to an event log and its decoders. */
import type { Clock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import type { Source } from '../model/index.ts';
import type { EventLog } from '../stream/contract.ts';
import { type Decoder, decoderFor } from '../stream/decode/index.ts';
import { openEmbeddedLog } from '../stream/embedded/log.ts';
import type { Config } from './config.ts';

/** Opens the project's event log. A broker that is away is met when the log is used. */
export async function openLog({ stream }: Config, clock: Clock): Promise<EventLog> {
  switch (stream.kind) {
    case 'embedded': {
      const { path, partitions } = stream;
      return openEmbeddedLog({ path, clock, partitions });
    }
    default:
      throw new SamewiseError('app/bad-url', `events of ${stream.kind} cannot be read yet`, {
        where: { field: 'stream' },
      });
  }
}

/** Decodes the records of a source. */
export function openDecoder(source: Source): Decoder {
  return decoderFor(source);
}
