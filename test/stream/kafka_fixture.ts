/** Topics of a real Kafka for tests, and the conformance suite's place on it. */
import { Admin } from '@platformatic/kafka';
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
  /** Closes every log that was opened. */
  close(): Promise<void>;
}

let topics = 0;

export function cluster(address: string): Cluster {
  const admin = new Admin({ clientId: 'tests', bootstrapBrokers: [address], retryDelay: 100 });
  const logs: EventLog[] = [];
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
    async close() {
      for (const log of logs) await log.close();
      await admin.close();
    },
  };
}
