/** Which online store a project uses, by URL. */
import { resolve } from 'node:path';
import { printPlace, type RedisPlace } from '../online/redis.ts';

/** Where pages lie. Passwords are never here: adapters read them from the environment. */
export type OnlinePlace = { readonly kind: 'lmdb'; readonly path: string } | RedisPlace;

/** How the URL is written. */
export const ONLINE_FORM =
  'lmdb:<folder>, redis://<user>@<host>:<port>/<database>?namespace=<name>, redis-cluster://<host>:<port>,<host>:<port> (rediss: with TLS)';

const REDIS =
  /^(redis|rediss)(-cluster)?:\/\/(?:([^\s:@/?]+)@)?([^\s@/?]+)(?:\/(\d+))?(?:\?namespace=([A-Za-z0-9_-]{1,64}))?$/;
const NODE = /^(\[[0-9a-fA-F:]+\]|[^\s:]+?)(?::(\d{1,5}))?$/;
const DEFAULT_PORT = 6379;
const DEFAULT_NAMESPACE = 'sw';

/** The place that a URL names; null if it names none. Paths are relative to the project. */
export function parseOnlinePlace(projectDir: string, url: string): OnlinePlace | null {
  const [, path] = /^lmdb:(.+)$/.exec(url) ?? [];
  if (path !== undefined) return { kind: 'lmdb', path: resolve(projectDir, path) };
  const [, scheme, cluster, user, list, database, namespace] = REDIS.exec(url) ?? [];
  if (scheme === undefined || list === undefined) return null;
  const isCluster = cluster !== undefined;
  const nodes = list.split(',').map((node) => {
    const [, host, port] = NODE.exec(node) ?? [];
    return host === undefined
      ? null
      : { host: host.replace(/^\[|\]$/g, ''), port: Number(port ?? DEFAULT_PORT) };
  });
  const sound = nodes.filter((node) => node !== null && node.port <= 65_535) as {
    host: string;
    port: number;
  }[];
  // A cluster has one database, a single Redis one address.
  if (sound.length < nodes.length || (isCluster ? database !== undefined : nodes.length > 1))
    return null;
  return {
    kind: isCluster ? 'redis-cluster' : 'redis',
    nodes: sound,
    tls: scheme === 'rediss',
    user: user === undefined ? null : decodeURIComponent(user),
    database: Number(database ?? 0),
    namespace: namespace ?? DEFAULT_NAMESPACE,
  };
}

/** As people are told of it. */
export function printOnlinePlace(place: OnlinePlace): string {
  return place.kind === 'lmdb' ? place.path : printPlace(place);
}
