/** Workers that are wrong on purpose: the simulator has to find each of them out. */
import type { WorkerSetup } from '../../../src/stream/worker.ts';
import type { Mutant } from './run.ts';

/** Says that pages are stored when they are only on their way: checkpoints then promise what a crash can take back. */
const checkpointBeforePages: Mutant = (setup) => ({
  ...setup,
  online: {
    ...setup.online,
    compareAndSet: async (writes) => {
      setup.online.compareAndSet(writes).catch(() => {});
      return writes.map(() => true);
    },
  },
});

/** Stamps arrival by the worker's own clock: who reads again stamps otherwise. */
const arrivalByWorker: Mutant = (setup) =>
  withConsumer(setup, (timestampUs) => Math.max(timestampUs, setup.clock.nowUs()));

/** Takes into history whatever there is, wherever history was. */
const historyUnfenced: Mutant = (setup) => ({
  ...setup,
  history: {
    ...setup.history,
    commit: async (commit) => {
      const { partitions } = await setup.history.state(commit.source.name);
      const after = partitions.get(commit.partition) ?? null;
      return setup.history.commit({ ...commit, after });
    },
  },
});

/** Believes a lost compare-and-set. */
const lostWritesIgnored: Mutant = (setup) => ({
  ...setup,
  online: {
    ...setup.online,
    compareAndSet: async (writes) => {
      await setup.online.compareAndSet(writes);
      return writes.map(() => true);
    },
  },
});

function withConsumer(setup: WorkerSetup, stamp: (timestampUs: number) => number): WorkerSetup {
  return {
    ...setup,
    log: {
      ...setup.log,
      consume: async (topic, options) => {
        const consumer = await setup.log.consume(topic, options);
        return {
          next: async () => {
            const event = await consumer.next();
            if (event?.type !== 'records') return event;
            const records = event.records.map((record) => ({
              ...record,
              timestampUs: stamp(record.timestampUs),
            }));
            return { ...event, records };
          },
          seek: (partition, position) => consumer.seek(partition, position),
          commit: (partition, position) => consumer.commit(partition, position),
          close: () => consumer.close(),
        };
      },
    },
  };
}

export const MUTANTS: Readonly<Record<string, Mutant>> = {
  checkpointBeforePages,
  arrivalByWorker,
  historyUnfenced,
  lostWritesIgnored,
};
