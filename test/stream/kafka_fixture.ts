/** Topics of a real Kafka for tests, and the conformance suite's place on it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Admin, FetchIsolationLevels, ListOffsetTimestamps } from '@platformatic/kafka';
import { systemClock } from '../../src/base/clock.ts';
import type { EventLog } from '../../src/stream/contract.ts';
import { type KafkaOptions, openKafkaLog } from '../../src/stream/kafka/index.ts';

/** What a test does to a cluster that an event log cannot. */
export interface Cluster {
  readonly admin: Admin;
  open(options?: Partial<KafkaOptions>): EventLog;
  /** A new topic; names are never used twice. */
  topic(partitions: number, settings?: Readonly<Record<string, string>>): Promise<string>;
  /** Drops records before these positions. */
  truncate(topic: string, before: ReadonlyMap<string, bigint>): Promise<void>;
  /** Until no transaction is open in a topic of one partition: a broker answers "committed" before it writes the markers that end it. */
  settled(topic: string): Promise<void>;
  /** Closes every log that was opened. */
  close(): Promise<void>;
}

let topics = 0;

export function cluster(address: string): Cluster {
  const admin = new Admin({ clientId: 'tests', bootstrapBrokers: [address], retryDelay: 100 });
  const logs: EventLog[] = [];
  const endOf = async (topic: string, isolationLevel: 0 | 1) => {
    const partitions = [{ partitionIndex: 0, timestamp: ListOffsetTimestamps.LATEST }];
    const topics = [{ name: topic, partitions }];
    const [listed] = await admin.listOffsets({ topics, isolationLevel });
    return listed!.partitions[0]!.offset;
  };
  return {
    admin,
    // The shortest session that the broker of the tests allows: a member that is killed is missed quickly.
    open(options) {
      const fixed = { brokers: [address], clock: systemClock, sessionMs: 2_000 };
      const log = openKafkaLog({ ...fixed, ...options });
      logs.push(log);
      return log;
    },
    async topic(partitions, settings = {}) {
      const topic = `test-${process.pid}-${topics++}`;
      const configs = Object.entries(settings).map(([name, value]) => ({ name, value }));
      await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs });
      return topic;
    },
    async truncate(topic, before) {
      const partitions = [...before].map(([partition, offset]) => ({
        partition: Number(partition),
        offset,
      }));
      await admin.deleteRecords({ topics: [{ name: topic, partitions }] });
    },
    async settled(topic) {
      const { READ_COMMITTED, READ_UNCOMMITTED } = FetchIsolationLevels;
      // What is stable is asked first: it only grows, so equal means that nothing was open in between.
      while ((await endOf(topic, READ_COMMITTED)) !== (await endOf(topic, READ_UNCOMMITTED)))
        await sleep(5);
    },
    async close() {
      for (const log of logs) await log.close();
      await admin.close();
    },
  };
}
