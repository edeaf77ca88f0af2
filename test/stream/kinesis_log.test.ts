/** The suite of event logs over an imitated Kinesis. */
import { test } from 'node:test';
import { eventLogConformance } from '../conformance/event_log.ts';
import { account } from './kinesis_fixture.ts';
import { servers } from './servers.ts';

const { skip, at } = await servers('kinesis');
if (skip) test('event log: Kinesis', { skip });
else
  eventLogConformance(
    'Kinesis',
    { makesTopics: false, dense: false, headers: true, rebalanceMs: 30_000, histories: 10 },
    async () => {
      const kinesis = account(at[0]);
      return {
        open: async () => kinesis.open(),
        topic: (shards) => kinesis.stream(shards),
        destroy: async () => kinesis.close(),
      };
    },
  );
