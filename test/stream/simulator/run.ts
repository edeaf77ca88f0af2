/**
 * One run of the simulator: workers feed pages and history from a log while everything goes wrong that may, until it calms
 * down; then history and pages must be what the records say. A run depends on its seed alone.
 */
import assert from 'node:assert/strict';
import { removeVanished } from '../../../src/app/vanished.ts';
import { SamewiseError } from '../../../src/base/errors.ts';
import type { ViewProgram } from '../../../src/model/index.ts';
import { handOver, handOverPage } from '../../../src/stream/checkpoint.ts';
import { rewind, setPaused } from '../../../src/stream/control.ts';
import { decoderFor } from '../../../src/stream/decode/index.ts';
import { buildKeys } from '../../../src/stream/page_builder.ts';
import { type Difference, type Reconciled, reconcile } from '../../../src/stream/reconcile.ts';
import { Worker, type WorkerSetup } from '../../../src/stream/worker.ts';
import { checkHistory, checkPages } from './check.ts';
import {
  deliveryOf,
  type Expected,
  type ExpectedRow,
  expectedOf,
  lookedUp,
  standingOf,
} from './expected.ts';
import { LEAST_SKEW_US, logsFor, MOST_SKEW_US, SimulatedLog, Stamps } from './log.ts';
import { simulatedOffline } from './offline.ts';
import { type Faults, NO_FAULTS, Process } from './process.ts';
import { Random } from './random.ts';
import { enrichedScenario, type Scenario, START_US, scenario } from './scenario.ts';
import { Scheduler } from './scheduler.ts';
import { historiesFor, SimulatedHistory, SimulatedStore } from './stores.ts';

const MAX_STEPS = 200_000;

/** Breaks a worker on purpose: what it is set up with, made wrong. */
export type Mutant = (setup: WorkerSetup, process: Process) => WorkerSetup;

/** What a run was like, to see that it was worth running. */
export interface Ran {
  readonly records: number;
  readonly steps: number;
}

/** One of five runs is of a source that looks up another one. */
export function isEnriched(seed: number): boolean {
  return seed % 5 === 0;
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

/** What there is of one source. */
interface Stream {
  readonly scenario: Scenario;
  readonly log: SimulatedLog;
  readonly history: SimulatedHistory;
}

function nameOf({ t, id }: { readonly t: number; readonly id: bigint }): string {
  return `${t} ${id}`;
}

interface RunningWorker {
  readonly process: Process;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

class World {
  readonly random: Random;
  readonly scheduler = new Scheduler(START_US);
  readonly store = new SimulatedStore();
  /** By source; one that looks up another is the first. */
  readonly streams = new Map<string, Stream>();
  readonly #stamps: Stamps;
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
  /** Views that were built from history. */
  readonly #built = new Set<string>();
  /** Views that came while workers ran, and live by history and stream together. */
  readonly #late = new Set<ViewProgram>();
  /** Views that are looked up only since a while: what came late before, their pages lack. */
  readonly #lookedUpLater = new Set<string>();
  /** Builds, rewinds and the like that are under way. */
  readonly #errands: Promise<void>[] = [];
  readonly #operator: Process;
  #calm = false;

  readonly seed: number;

  constructor(seed: number, mutant: Mutant) {
    this.seed = seed;
    const random = new Random(seed);
    this.random = random;
    this.#mutant = mutant;
    const enriched = isEnriched(seed);
    const first = enriched ? enrichedScenario(random) : scenario(random);
    this.#stamps = new Stamps(this.scheduler, enriched && random.chance(0.5));
    for (const one of first.looksUp === undefined ? [first] : [first, first.looksUp])
      this.streams.set(one.source.name, {
        scenario: one,
        log: new SimulatedLog(random.between(1, 3), this.scheduler, random, this.#stamps),
        history: new SimulatedHistory(),
      });
    const level = random.pick([0, 0.02, 0.05]);
    this.#faults = {
      failBefore: level,
      failAfter: level,
      repeated: random.pick([0, 0.05]),
      slow: random.pick([0, 0.03]),
    };
    this.#live = first.programs.slice(0, random.between(1, 3));
    if (first.looksUp !== undefined) {
      // What is looked up lives at the latest with what looks it up.
      const others = random.chance(0.5) ? first.looksUp.programs : [];
      this.#live = [...new Set([...this.#live, ...this.#lookedUpBy(this.#live), ...others])];
    }
    this.#operator = this.process('operator', NO_FAULTS);
  }

  /** One of the sources. */
  #anyStream(): Stream {
    const all = [...this.streams.values()];
    return all.length === 1 ? all[0]! : this.random.pick(all);
  }

  /** The views that some views look up. */
  #lookedUpBy(programs: readonly ViewProgram[]): ViewProgram[] {
    const ids = new Set(
      programs.flatMap(({ lookups }) => lookups.map(({ program }) => program.id)),
    );
    const all = [...this.streams.values()].flatMap(({ scenario }) => scenario.programs);
    return all.filter(({ id }) => ids.has(id));
  }

  #rebalance(): void {
    for (const { log } of this.streams.values()) log.rebalance();
  }

  #liveOf(source: string): ViewProgram[] {
    return this.#live.filter((program) => program.source.name === source);
  }

  #catalog() {
    return [...this.streams.values()][0]!.scenario.catalog;
  }

  #logFor(process: Process) {
    const logs = [...this.streams].map(([name, { log }]) => [name, log] as const);
    return logsFor(new Map(logs), process);
  }

  #histories(): Map<string, SimulatedHistory> {
    return new Map([...this.streams].map(([name, { history }]) => [name, history]));
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
        const { scenario, log } = this.#anyStream();
        const { key, value } = scenario.record(scheduler.nowUs);
        const partition = key === null ? random.pick(log.names) : log.nameOf(key);
        log.append(partition, value, key);
        this.appended++;
      }
      if (random.chance(0.25)) this.#mishap();
      if (isEnriched(this.seed)) this.#mishapOfLookUps();
    }
    await this.#calmDown(nobody);
  }

  /** Something happens to a worker, the group or a clock. */
  #mishap(): void {
    const { random, scheduler } = this;
    const worker = this.#workers.length > 0 ? random.pick(this.#workers) : null;
    switch (random.below(11)) {
      case 0:
      case 1:
        if (worker === null) return;
        worker.process.alive = false;
        this.#workers = this.#workers.filter((other) => other !== worker);
        scheduler.after(random.below(4_000_000), () => this.#rebalance());
        scheduler.after(random.below(3_000_000), () => this.#calm || this.#startWorker());
        return;
      case 2:
        if (worker === null) return;
        worker.process.frozenUntilUs = scheduler.nowUs + random.below(6_000_000);
        scheduler.after(random.below(2_000_000), () => this.#rebalance());
        return;
      case 3:
        this.#rebalance();
        return;
      case 4:
        if (worker !== null) worker.process.skewUs = random.between(-3_600, 3_600) * 1_000_000;
        this.#stamps.skewUs = random.pick([0, 0, LEAST_SKEW_US, MOST_SKEW_US]);
        return;
      case 5:
        // One leaves in good order.
        if (worker === null) return;
        worker.stop.abort();
        this.#workers = this.#workers.filter((other) => other !== worker);
        scheduler.after(random.below(1_000_000), () => this.#calm || this.#startWorker());
        return;
      case 6:
      case 7:
        this.#errand(this.#build(random.pick(this.#live), this.#faults));
        return;
      case 8: {
        const all = [...this.streams.values()].flatMap(({ scenario }) => scenario.programs);
        const next = all.find((program) => !this.#live.includes(program));
        if (next === undefined) return;
        const before = this.#lookedUpBy(this.#live);
        for (const program of [...this.#lookedUpBy([next]), next]) {
          if (program !== next && !before.includes(program)) this.#lookedUpLater.add(program.id);
          if (this.#live.includes(program)) continue;
          this.#late.add(program);
          this.#live = [...this.#live, program];
          if (random.chance(0.5)) this.#errand(this.#build(program, this.#faults));
        }
        return;
      }
      case 9:
        this.#errand(this.#rewind());
        return;
      case 10:
        this.#errand(random.chance(0.5) ? this.#pause() : this.#compare());
    }
  }

  /** What is hard on look-ups in particular: stamps that go back, and builds while some history is there and some is not. */
  #mishapOfLookUps(): void {
    const { random } = this;
    if (random.chance(0.5)) this.#stamps.skewUs = random.pick([0, LEAST_SKEW_US, MOST_SKEW_US]);
    if (random.chance(0.15)) this.#errand(this.#build(random.pick(this.#live), this.#faults));
  }

  #errand(errand: Promise<void>): void {
    this.#errands.push(errand.catch((error) => this.#bug(error)));
  }

  /** What materialisation does for a view. Its process may fail, and is then run again. */
  async #build(program: ViewProgram, faults: Faults): Promise<void> {
    const { random } = this;
    const { id, source, view } = program;
    for (;;) {
      const process = this.process(`build ${this.#processes.length}`, faults);
      const online = this.store.for(process);
      const log = historiesFor(this.#histories(), process);
      const offline = simulatedOffline(process, this.#histories());
      const catalog = this.#catalog();
      const history = { catalog, view: view.name, shard: null, changedSinceUs: null, keys: null };
      try {
        const state = await log.state(source.name);
        const first = !this.#built.has(id);
        const build = { online, offline, log, program, history };
        const { keys } = await buildKeys(build);
        if ((await online.size(id)).keys > keys) await removeVanished(build);
        if (random.chance(0.2)) await process.sleep(random.below(3_000));
        await handOver(online, { source: source.name, viewId: id, first }, state);
        this.#built.add(id);
        this.#late.delete(program);
        return;
      } catch (error) {
        if (!(error instanceof SamewiseError)) throw error;
        await process.sleep(300);
      }
    }
  }

  async #rewind(): Promise<void> {
    const { random, scheduler } = this;
    const process = this.#operator;
    const { scenario, log } = this.#anyStream();
    const app = { online: this.store.for(process), log: this.#logFor(process) };
    const partition = random.pick(log.names);
    const position = BigInt(random.below(Number(log.end(partition)) + 1));
    const target = random.chance(0.5)
      ? { timeUs: scheduler.nowUs - random.below(20_000_000) }
      : { positions: new Map([[partition, position]]) };
    await rewind(app, scenario.source, target);
  }

  async #pause(): Promise<void> {
    const { name } = this.#anyStream().scenario.source;
    const online = this.store.for(this.#operator);
    await setPaused(online, name, true);
    await this.#operator.sleep(this.random.below(3_000));
    await setPaused(online, name, false);
  }

  /** Compares while all goes on: what is on its way is no difference. */
  async #compare(): Promise<void> {
    const { random } = this;
    const built = this.#live.filter((program) => !this.#late.has(program));
    if (built.length > 0) await this.#reconcile(random.pick(built), false);
  }

  async #reconcile(program: ViewProgram, repair: boolean): Promise<Reconciled> {
    const process = this.#operator;
    const differences: Difference[] = [];
    const done = await reconcile({
      online: this.store.for(process),
      offline: simulatedOffline(process, this.#histories()),
      log: historiesFor(this.#histories(), process),
      catalog: this.#catalog(),
      program,
      keys: null,
      repair,
      onDifference: (difference) => differences.push(difference),
    });
    await this.#assertAlike(program, differences);
    return done;
  }

  /** Nothing differs but what came late. */
  async #assertAlike(program: ViewProgram, differences: readonly Difference[]): Promise<void> {
    if (differences.length === 0) return;
    const { scenario } = this.streams.get(program.source.name)!;
    const late = (await this.#expected(scenario)).rows.filter((row) => row.late);
    const names = new Set(late.map((row) => nameOf(deliveryOf(program, row))));
    for (const { cause, event } of differences) {
      assert.ok(event !== null && cause !== 'damaged');
      const name = nameOf({ t: event.timeUs, id: event.id });
      if (!names.has(name))
        assert.fail(`${cause} in ${program.view.name}: ${name} ${event.arrivalUs}`);
    }
  }

  #startWorker(): void {
    const process = this.process(
      `worker ${this.#processes.length}`,
      this.#calm ? NO_FAULTS : this.#faults,
    );
    const stop = new AbortController();
    const running = [...this.streams.values()].map(async ({ scenario }) => {
      const setup = this.#mutant(this.#setupOf(process, scenario), process);
      while (!stop.signal.aborted) {
        try {
          await new Worker(setup).run(stop.signal);
        } catch (error) {
          if (!(error instanceof SamewiseError)) this.#bug(error);
          await process.sleep(200);
        }
      }
    });
    const ended = Promise.all(running).then(() => {});
    const worker = { process, stop, ended };
    this.#workers.push(worker);
    this.#started.push(worker);
  }

  #setupOf(process: Process, { source, looksUp }: Scenario): WorkerSetup {
    const { random } = this;
    return {
      source,
      log: this.#logFor(process),
      decoder: decoderFor(source),
      online: this.store.for(process),
      offline: simulatedOffline(process, this.#histories()),
      history: historiesFor(this.#histories(), process),
      views: () =>
        process.call(() => ({
          programs: this.#liveOf(source.name),
          lookedUp: new Set(this.#lookedUpBy(this.#live).map(({ id }) => id)),
          sources: looksUp === undefined ? [] : [looksUp.source],
        })),
      clock: process.clock,
      group: 'workers',
      catchesUp: this.seed % 7 === 6,
      sleep: process.sleep,
      random: random.next,
      limits: {
        batchRecords: random.pick([1, 4, 30]),
        applyRecords: [1, 40, 1_000][this.seed % 3]!,
        commitRecords: random.pick([2, 10, 1_000]),
        commitMs: random.pick([100, 1_000, 4_000]),
        checkpointMs: random.pick([50, 500, 2_000]),
        lookMs: random.pick([100, 700]),
        ...(isEnriched(this.seed) ? { patienceMs: random.pick([0, 500, 5_000]) } : {}),
      },
    };
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
    await Promise.all(this.#errands);
    for (const program of this.#late) await this.#build(program, NO_FAULTS);
    await this.#buildLookedUp();
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
    this.#rebalance();
    for (let waited = 0; !this.#isDone(); waited++) {
      await nobody.sleep(500);
      // A worker that has just come to know that a view is looked up may find out that its pages lack something.
      await this.#buildLookedUp();
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
    const ends = [...this.streams].flatMap(([source, { log, history }]) =>
      log.names.map((name) => {
        const at = history.state().partitions.get(name)?.position;
        return `${source} ${name} ends at ${log.end(name)}, history ${at}`;
      }),
    );
    return [...ends, ...meta].join('\n');
  }

  /** The number of the last hand-over of a view. */
  #handed(source: string, id: string): number {
    const [head] = this.store.heads([handOverPage(source, id)]);
    return head === undefined ? 0 : JSON.parse(new TextDecoder().decode(head.bytes)).number;
  }

  #meta(name: string): any {
    const bytes = this.store.meta.get(name);
    return bytes && JSON.parse(new TextDecoder().decode(bytes));
  }

  /** Builds views that are looked up and whose pages lack what only a build brings: until then nobody looks into them. */
  async #buildLookedUp(): Promise<void> {
    for (const program of this.#lookedUpBy(this.#live)) {
      const { id, source } = program;
      const handed = this.#handed(source.name, id);
      const lacks = this.streams.get(source.name)!.log.names.some((partition) => {
        const stored = this.#meta(`stream/${source.name}/${partition}/${id}`);
        return stored !== undefined && !stored.whole && stored.handed >= handed;
      });
      if (lacks) await this.#build(program, NO_FAULTS);
    }
  }

  /** All checkpoints are at the end of the log. */
  #isDone(): boolean {
    return [...this.streams.values()].every(({ scenario, log, history }) => {
      const { partitions } = history.state();
      const source = scenario.source.name;
      return log.names.every((partition) => {
        const last = log.end(partition) - 1n;
        if (last < 0n) return true;
        const pages = this.#liveOf(source).every(({ id }) => {
          const stored = this.#meta(`stream/${source}/${partition}/${id}`);
          if (stored?.at == null || BigInt(stored.at[0]) < last) return false;
          const handed = this.#handed(source, id);
          const rewinds = this.#meta(`stream/${source}/control`)?.rewinds ?? [];
          return stored.handed === handed && stored.rewind === (rewinds.at(-1)?.[0] ?? 0);
        });
        return pages && partitions.get(partition)?.position === last;
      });
    });
  }

  async check(): Promise<void> {
    const expected = new Map<string, readonly ExpectedRow[]>();
    for (const [name, stream] of this.streams) {
      const found = await this.#expected(stream.scenario);
      checkHistory(stream.history, found);
      expected.set(name, found.rows);
    }
    const rowsOf = (source: string) => expected.get(source)!;
    const standing = (program: ViewProgram, late: boolean) => {
      const rows = rowsOf(program.source.name).filter((row) => late || !row.late);
      return standingOf(program, lookedUp(program, rows, rowsOf));
    };
    const looked = this.#lookedUpBy(this.#live);
    for (const program of this.#live) {
      // A build brings late events along.
      if (this.#built.has(program.id) || this.#lookedUpLater.has(program.id)) continue;
      checkPages(this, program, standing(program, looked.includes(program)));
    }
    await this.scheduler.until(this.#heal(), MAX_STEPS);
    for (const program of this.#live) checkPages(this, program, standing(program, true));
  }

  /** Late events get into pages; a second look finds nothing. */
  async #heal(): Promise<void> {
    for (const program of this.#live) {
      await this.#reconcile(program, true);
      const again = await this.#reconcile(program, true);
      assert.deepEqual([again.differentKeys, again.repaired], [0, 0], 'a repair repairs');
    }
  }

  /** What is to come of the records of a source so far. */
  async #expected({ source }: Scenario): Promise<Expected> {
    const decoder = decoderFor(source);
    const decoded = new Map();
    const { records } = this.streams.get(source.name)!.log;
    for (const [name, own] of records) decoded.set(name, await decoder.decode(own));
    return expectedOf(source, records, decoded);
  }
}
