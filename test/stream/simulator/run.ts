/**
 * One run of the simulator: workers feed pages and history from a log while everything goes wrong that may, until it calms
 * down; then history and pages must be what the records say. A run depends on its seed alone.
 */
import assert from 'node:assert/strict';
import { SamewiseError } from '../../../src/base/errors.ts';
import type { ViewProgram } from '../../../src/model/index.ts';
import { decoderFor } from '../../../src/stream/decode/index.ts';
import { Worker, type WorkerSetup } from '../../../src/stream/worker.ts';
import { readTimeline } from '../../../src/timeline/index.ts';
import { sameScalar } from '../../../src/types/scalar.ts';
import { valuesAt } from '../../oracle/timeline.ts';
import { RULES } from '../../timeline/agreement.ts';
import { type Expected, expectedOf, standingOf } from './expected.ts';
import { SimulatedLog } from './log.ts';
import { type Faults, NO_FAULTS, Process } from './process.ts';
import { Random } from './random.ts';
import { type Scenario, START_US, scenario } from './scenario.ts';
import { Scheduler } from './scheduler.ts';
import { SimulatedHistory, SimulatedStore } from './stores.ts';

const MAX_STEPS = 200_000;

/** Breaks a worker on purpose: what it is set up with, made wrong. */
export type Mutant = (setup: WorkerSetup, process: Process) => WorkerSetup;

/** What a run was like, to see that it was worth running. */
export interface Ran {
  readonly records: number;
  readonly steps: number;
}

export async function run(seed: number, mutant: Mutant = (setup) => setup): Promise<Ran> {
  const world = new World(seed, mutant);
  try {
    await world.scheduler.until(world.play(), MAX_STEPS);
    await world.check();
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error)?.stack ?? error}`, { cause: error });
  }
  return { records: world.appended, steps: world.scheduler.steps };
}

interface RunningWorker {
  readonly process: Process;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

class World {
  readonly random: Random;
  readonly scheduler = new Scheduler(START_US);
  readonly scenario: Scenario;
  readonly log: SimulatedLog;
  readonly store = new SimulatedStore();
  readonly history = new SimulatedHistory();
  appended = 0;
  readonly #mutant: Mutant;
  readonly #faults: Faults;
  /** All processes there ever were. */
  readonly #processes: Process[] = [];
  /** Those that run workers now, and how to have one finish. */
  #workers: RunningWorker[] = [];
  /** Those that were ever started. */
  readonly #started: RunningWorker[] = [];
  #live: ViewProgram[];
  #calm = false;

  constructor(seed: number, mutant: Mutant) {
    const random = new Random(seed);
    this.random = random;
    this.#mutant = mutant;
    this.scenario = scenario(random);
    this.log = new SimulatedLog(random.between(1, 3), this.scheduler, random);
    const level = random.pick([0, 0.02, 0.05]);
    this.#faults = {
      failBefore: level,
      failAfter: level,
      repeated: random.pick([0, 0.05]),
      slow: random.pick([0, 0.03]),
    };
    this.#live = this.scenario.programs.slice(0, random.between(1, 3));
  }

  process(name: string, faults: Faults): Process {
    const process = new Process(name, this.scheduler, this.random, faults);
    this.#processes.push(process);
    return process;
  }

  async play(): Promise<void> {
    const { random, scheduler } = this;
    const nobody = this.process('test', NO_FAULTS);
    const workers = random.between(1, 3);
    for (let i = 0; i < workers; i++) this.#startWorker();
    const records = random.between(10, 70);
    while (this.appended < records) {
      await nobody.sleep(random.pick([1, 20, 300, 1_500]));
      for (let left = random.between(1, 6); left > 0; left--) {
        const { key, value } = this.scenario.record(scheduler.nowUs);
        const partition = key === null ? random.pick(this.log.names) : this.log.nameOf(key);
        this.log.append(partition, value, key);
        this.appended++;
      }
      if (random.chance(0.25)) this.#mishap();
    }
    await this.#calmDown(nobody);
  }

  /** Something happens to a worker, the group or a clock. */
  #mishap(): void {
    const { random, scheduler } = this;
    const worker = this.#workers.length > 0 ? random.pick(this.#workers) : null;
    switch (random.below(6)) {
      case 0:
      case 1:
        if (worker === null) return;
        worker.process.alive = false;
        this.#workers = this.#workers.filter((other) => other !== worker);
        scheduler.after(random.below(4_000_000), () => this.log.rebalance());
        scheduler.after(random.below(3_000_000), () => this.#calm || this.#startWorker());
        return;
      case 2:
        if (worker === null) return;
        worker.process.frozenUntilUs = scheduler.nowUs + random.below(6_000_000);
        scheduler.after(random.below(2_000_000), () => this.log.rebalance());
        return;
      case 3:
        this.log.rebalance();
        return;
      case 4:
        if (worker !== null) worker.process.skewUs = random.between(-3_600, 3_600) * 1_000_000;
        this.log.skewUs = random.pick([0, 0, -2_000_000, 1_000_000]);
        return;
      case 5:
        // One leaves in good order.
        if (worker === null) return;
        worker.stop.abort();
        this.#workers = this.#workers.filter((other) => other !== worker);
        scheduler.after(random.below(1_000_000), () => this.#calm || this.#startWorker());
    }
  }

  #startWorker(): void {
    const { random } = this;
    const process = this.process(
      `worker ${this.#processes.length}`,
      this.#calm ? NO_FAULTS : this.#faults,
    );
    const stop = new AbortController();
    const setup: WorkerSetup = this.#mutant(
      {
        source: this.scenario.source,
        log: this.log.for(process),
        decoder: decoderFor(this.scenario.source),
        online: this.store.for(process),
        history: this.history.for(process),
        views: () => process.call(() => [...this.#live]),
        clock: process.clock,
        group: 'workers',
        sleep: process.sleep,
        random: random.next,
        limits: {
          batchRecords: random.pick([1, 4, 30]),
          commitRecords: random.pick([2, 10, 1_000]),
          commitMs: random.pick([100, 1_000, 4_000]),
          checkpointMs: random.pick([50, 500, 2_000]),
          lookMs: random.pick([100, 700]),
        },
      },
      process,
    );
    const ended = (async () => {
      while (!stop.signal.aborted) {
        try {
          await new Worker(setup).run(stop.signal);
        } catch (error) {
          if (!(error instanceof SamewiseError)) this.#bug(error);
          await process.sleep(200);
        }
      }
    })();
    const worker = { process, stop, ended };
    this.#workers.push(worker);
    this.#started.push(worker);
  }

  #bugs: unknown[] = [];
  #bug(error: unknown): void {
    this.#bugs.push(error);
  }

  async #calmDown(nobody: Process): Promise<void> {
    this.#calm = true;
    for (const process of this.#processes) {
      process.faults = NO_FAULTS;
      process.frozenUntilUs = 0;
    }
    const dying = this.random.chance(0.5);
    for (const { process, stop } of this.#started) {
      if (dying) process.alive = false;
      stop.abort();
    }
    const ending = this.#started.filter(({ process }) => process.alive);
    await Promise.all(ending.map(({ ended }) => ended));
    // What is still on its way arrives; then a worker begins with what the others left.
    await nobody.sleep(8_000);
    this.#workers = [];
    this.#startWorker();
    this.log.rebalance();
    for (let waited = 0; !this.#isDone(); waited++) {
      await nobody.sleep(500);
      if (waited === 200) throw new Error(`the workers do not catch up: ${this.#state()}`);
      if (this.#bugs.length > 0) throw this.#bugs[0];
    }
    for (const { stop } of this.#workers) stop.abort();
    await Promise.all(this.#workers.map(({ ended }) => ended));
    if (this.#bugs.length > 0) throw this.#bugs[0];
  }

  #state(): string {
    const meta = [...this.store.meta].map(
      ([name, bytes]) => `${name} ${new TextDecoder().decode(bytes).slice(0, 80)}`,
    );
    const { partitions } = this.history.state();
    const ends = this.log.names.map(
      (name) => `${name} ends at ${this.log.end(name)}, history ${partitions.get(name)?.position}`,
    );
    return [...ends, ...meta].join('\n');
  }

  /** All checkpoints are at the end of the log. */
  #isDone(): boolean {
    const { partitions } = this.history.state();
    return this.log.names.every((partition) => {
      const last = this.log.end(partition) - 1n;
      if (last < 0n) return true;
      const pages = this.#live.every(({ id, source }) => {
        const bytes = this.store.meta.get(`stream/${source.name}/${partition}/${id}`);
        const stored = bytes && JSON.parse(new TextDecoder().decode(bytes));
        return stored?.at != null && BigInt(stored.at[0]) >= last;
      });
      return pages && partitions.get(partition)?.position === last;
    });
  }

  async check(): Promise<void> {
    const { source } = this.scenario;
    const decoder = decoderFor(source);
    const decoded = new Map();
    for (const [name, records] of this.log.records)
      decoded.set(name, await decoder.decode(records));
    const expected = expectedOf(source, this.log.records, decoded);
    this.#checkHistory(expected);
    const inPages = expected.rows.filter(({ late }) => !late);
    for (const program of this.#live) this.#checkPages(program, standingOf(program, inPages));
  }

  #checkHistory({ rows, dead }: Expected): void {
    const plain = ({ partition, position, arrivalUs, retract, values }: Expected['rows'][number]) =>
      `${partition} ${position} ${arrivalUs} ${retract} ${Object.values(values).join()}`;
    assert.deepEqual(
      this.history.rows.map((row) => plain({ ...row, late: false })).sort(),
      rows.map(plain).sort(),
      'history has each event once, as it arrived',
    );
    assert.equal(this.history.late, rows.filter(({ late }) => late).length, 'late events');
    assert.deepEqual(
      this.history.letters.map(({ partition, position }) => `${partition} ${position}`).sort(),
      dead.toSorted(),
      'dead letters',
    );
  }

  #checkPages(program: ViewProgram, standing: ReturnType<typeof standingOf>): void {
    const { random } = this;
    const { layout, id, view } = program;
    const keys = new Set([...standing.keys(), ...this.store.keysOf(id).map((key) => key.toHex())]);
    for (const hex of keys) {
      const key = Uint8Array.fromHex(hex);
      const [head] = this.store.heads([{ view: id, key }]);
      const block = (n: number) => this.store.blocks({ view: id, key }, [n])[0];
      const events = standing.get(hex) ?? [];
      for (let reads = 0; reads < 12; reads++) {
        let at = START_US + random.below(200) * 1_000_000;
        if (events.length > 0 && random.chance(0.7))
          at = random.pick(events).t + random.pick([0, 1, 20_000_000, 45_000_000, 45_000_001]);
        const found = readTimeline(layout, head?.bytes, block, at);
        assert.equal(found.missing.length, 0, 'all blocks are there');
        const right = valuesAt(layout, events, at, RULES);
        right.forEach((value, i) => {
          if (sameScalar(found.values[i]!, value)) return;
          assert.fail(
            `${view.name} of ${hex} at ${at}, value ${i}: ${String(found.values[i])} where ${String(value)} is right`,
          );
        });
      }
    }
  }
}
