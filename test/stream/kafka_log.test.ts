/** The suite of event logs over a real Kafka. */
import { test } from 'node:test';
import { eventLogConformance } from '../conformance/event_log.ts';
import { cluster } from './kafka_fixture.ts';
import { servers } from './servers.ts';

const { skip, at } = await servers('kafka');
if (skip) test('event log: Kafka', { skip });
else
  eventLogConformance(
    'Kafka',
    { makesTopics: false, dense: true, headers: true, rebalanceMs: 30_000, histories: 15 },
    async () => {
      const kafka = cluster(at[0]);
      return {
        open: async () => kafka.open(),
        topic: (partitions) => kafka.topic(partitions),
        async forget(log, topic) {
          const ends = [...(await log.ends(topic))].map(([p, { next }]) => [p, next] as const);
          await kafka.truncate(topic, new Map(ends));
        },
        destroy: () => kafka.close(),
      };
    },
  );
