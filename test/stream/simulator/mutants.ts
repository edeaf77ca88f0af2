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

/** Looks up without waiting for what is looked up. */
const impatientLookUps: Mutant = (setup) => ({
  ...setup,
  log: { ...setup.log, ends: async () => new Map() },
});

/** Takes stamps of different logs for more exact than they are. */
const stampsTrusted: Mutant = (setup) => ({ ...setup, log: { ...setup.log, stampSlackMs: 0 } });

/** Commits rows to history before what they look up is there. */
const historyInAnyOrder: Mutant = (setup) => ({
  ...setup,
  views: async () => ({ ...(await setup.views()), sources: [] }),
});

/** Leaves late events out of pages that are looked up. */
const lateNotLookedUp: Mutant = (setup) => ({
  ...setup,
  online: {
    ...setup.online,
    // It says that pages are whole which are not.
    putMeta: (name, value) => {
      const text = new TextDecoder().decode(value).replace('"whole":false', '"whole":true');
      return setup.online.putMeta(name, new TextEncoder().encode(text));
    },
  },
  views: async () => ({ ...(await setup.views()), lookedUp: new Set<string>() }),
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

/** Those that only a source that looks up can find out. */
export const LOOK_UP_MUTANTS: Readonly<Record<string, Mutant>> = {
  impatientLookUps,
  stampsTrusted,
  historyInAnyOrder,
  lateNotLookedUp,
};
