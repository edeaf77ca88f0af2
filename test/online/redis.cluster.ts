/** Redis and Redis Cluster: the suite of every online store. */
import { randomUUID } from 'node:crypto';
import { onlineConformance } from '../conformance/online.ts';
import { servers } from '../stream/servers.ts';

const {
  at: [single, cluster],
} = await servers('redis', 'redis-cluster');

for (const [name, address] of [
  ['redis', `redis://${single}`],
  ['redis-cluster', `redis-cluster://${cluster}`],
] as const)
  onlineConformance(name, async () => ({
    url: `${address}?namespace=${randomUUID().slice(0, 8)}`,
    isOrdered: false,
    destroy: async () => {},
  }));
