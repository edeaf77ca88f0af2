/** Which event log a project uses, by URL. */
import { resolve } from 'node:path';

/** Where events come in. Credentials are never here: adapters read them from the environment. */
export type StreamPlace =
  | {
      readonly kind: 'embedded';
      readonly path: string;
      /** Of topics that are made from now on. */
      readonly partitions: number;
    }
  | { readonly kind: 'kafka'; readonly brokers: readonly string[] }
  | { readonly kind: 'kinesis'; readonly region: string; readonly endpoint: string | null };

/** How the URL is written. */
export const STREAM_FORM =
  'embedded:<folder>, embedded:<folder>?partitions=4, kafka:<host>:<port>,<host>:<port> or kinesis:<region>';

const MAX_PARTITIONS = 1024;

/** The place that a URL names; null if it names none. Paths are relative to the project. */
export function parseStreamPlace(projectDir: string, url: string): StreamPlace | null {
  const [, kind, body, query] = /^(\w+):([^?]*)(?:\?(.*))?$/.exec(url) ?? [];
  const options = new URLSearchParams(query);
  const known: Record<string, string[]> = {
    embedded: ['partitions'],
    kafka: [],
    kinesis: ['endpoint'],
  };
  if (kind === undefined || !body || [...options.keys()].some((o) => !known[kind]?.includes(o)))
    return null;
  if (kind === 'embedded') {
    const partitions = Number(options.get('partitions') ?? 1);
    return Number.isInteger(partitions) && partitions >= 1 && partitions <= MAX_PARTITIONS
      ? { kind, path: resolve(projectDir, body), partitions }
      : null;
  }
  if (kind === 'kafka') {
    const brokers = body.split(',');
    return brokers.every((broker) => /^[^\s/:@]+:\d{1,5}$/.test(broker)) ? { kind, brokers } : null;
  }
  if (kind === 'kinesis') {
    const endpoint = options.get('endpoint');
    const sound = /^[a-z0-9-]+$/.test(body) && (endpoint === null || URL.canParse(endpoint));
    return sound ? { kind, region: body, endpoint } : null;
  }
  return null;
}
