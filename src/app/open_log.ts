/** From configuration to an event log and its decoders. */
import type { Clock } from '../base/clock.ts';
import type { Source } from '../model/index.ts';
import type { OnlineStore } from '../online/contract.ts';
import type { EventLog } from '../stream/contract.ts';
import type { Decoder, SchemaChange } from '../stream/decode/index.ts';
import type { Config } from './config.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Opens the project's event log; workers that share Kinesis keep their leases in the online store. A broker that is away is met when the log is used. Clients are loaded only if they are needed. */
export async function openLog(
  { stream }: Config,
  online: OnlineStore,
  clock: Clock,
  environment: Environment = process.env,
): Promise<EventLog> {
  switch (stream.kind) {
    case 'embedded': {
      const { openEmbeddedLog } = await import('../stream/embedded/log.ts');
      const { path, partitions } = stream;
      return openEmbeddedLog({ path, clock, partitions });
    }
    case 'kafka': {
      const { kafkaSecurity, openKafkaLog } = await import('../stream/kafka/index.ts');
      return openKafkaLog({ brokers: stream.brokers, clock, security: kafkaSecurity(environment) });
    }
    case 'kinesis': {
      const { openKinesisLog } = await import('../stream/kinesis/index.ts');
      const { region, endpoint } = stream;
      return openKinesisLog({ region, endpoint, clock, leases: online, random: Math.random });
    }
  }
}

/** Makes the decoder of a source's records; `onSchemaChange` is told of schemas from which it can no longer be read. */
export type OpenDecoder = (
  source: Source,
  onSchemaChange: (change: SchemaChange) => void,
) => Decoder;

/** Decoders of a project: all share one schema registry and what is known of its schemas. */
export async function decodersOf({ schemas }: Config): Promise<OpenDecoder> {
  const { decoderFor, schemaRegistry } = await import('../stream/decode/index.ts');
  const registry = schemas === null ? null : schemaRegistry(schemas, { jitter: Math.random });
  return (source, onSchemaChange) => decoderFor(source, { registry, onSchemaChange });
}
