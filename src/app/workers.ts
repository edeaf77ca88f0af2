/**
 * One server of several processes. The parent binds the port and holds it, and never accepts: every child listens on the same socket, so
 * connections that come while children die or are replaced wait in the system's queue and are refused by nobody. The parent opens no
 * store. Children that serve have numbers; one more child has the duties that one process of a project has.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { BoundSocket } from 'node:net';
import { resolve } from 'node:path';
import { SamewiseError } from '../base/errors.ts';
import { readConfig } from './config.ts';
import { cannotListen, type Listening } from './listening.ts';
import { mergeMetrics, type ProcessMetrics } from './merged_metrics.ts';
import { sleep } from './streaming.ts';
import type { ToChild, ToParent, WorkerSetup } from './worker_messages.ts';

/** A child that dies is replaced at once, and one that dies again before it has lived for so long only after a rest. */
const SETTLED_MS = 30_000;
const FIRST_REST_MS = 1_000;
const MOST_REST_MS = 30_000;
/** Whoever asks for metrics does not wait longer for a child that is busy, and is told what was known of it before. */
const METRICS_MS = 2_000;

/** When a child is given up; others than those below are for tests. */
export interface WorkerLimits {
  /** How often it is looked whether children say that they are alive. */
  readonly lookMs: number;
  /** One that has said nothing for so many looks is stuck, and killed. */
  readonly silentLooks: number;
  /** Before its first word it has more: it loads its code, on a machine that may be busy. */
  readonly startLooks: number;
  /** One that has not ended so long after it was told to is killed. */
  readonly endMs: number;
}

const LIMITS: WorkerLimits = { lookMs: 1_000, silentLooks: 30, startLooks: 90, endMs: 40_000 };

export interface WorkersOptions {
  readonly projectDir: string;
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  readonly workers: number;
  /** Apply events, too, in a process of its own. */
  readonly stream: boolean;
  /** The file that children run; see worker_messages.ts for what it is given. */
  readonly main: string;
  /** A child has died and is replaced after `restMs`, or could not be started anew. */
  readonly onDeath: (worker: string, why: string, restMs: number) => void;
}

export interface Workers extends Listening {
  /** Replaces every child by a new one: when that is warm, the old one finishes what it has. Throws if a new one does not start. */
  restart(): Promise<void>;
}

interface Child {
  readonly process: ChildProcess;
  readonly startedMs: number;
  readonly listening: Promise<void>;
  readonly ready: Promise<void>;
  readonly ended: Promise<string>;
  /** What it has counted, as it last said. */
  metrics: string;
  /** Looks since it last said something; negative: it has not said anything yet. */
  silent: number;
  /** Why it is killed, if it is. */
  stuck: string | null;
}

/** Place of a child: when it dies, another one takes the place. */
interface Slot {
  readonly name: string;
  readonly role: WorkerSetup['role'];
  child: Child;
  /** Deaths in a row of children that had not settled. */
  deaths: number;
}

/** Starts a server of `workers` processes. Throws `app/cannot-listen`, and what its children fail with. */
export async function startWorkers(
  options: WorkersOptions,
  limits: WorkerLimits = LIMITS,
): Promise<Workers> {
  readConfig(options.projectDir);
  const bound = await bind(options);
  const server = new WorkerGroup(options, limits, bound);
  try {
    await server.start();
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
}

class WorkerGroup implements Workers {
  readonly url: string;
  readonly warm: Promise<void>;
  readonly #options: WorkersOptions;
  readonly #bound: BoundSocket;
  readonly #limits: WorkerLimits;
  readonly #slots: Slot[] = [];
  /** Every child that has not ended. */
  readonly #children = new Set<Child>();
  /** A child that is to take over when it is warm; it serves nobody yet. */
  #coming: Child | null = null;
  readonly #looking: NodeJS.Timeout;
  /** What children counted that have ended. */
  #past = '';
  readonly #ending = new AbortController();
  readonly #asked = new Map<number, (text: string) => void>();
  readonly #isWarm = Promise.withResolvers<void>();
  #questions = 0;
  #deaths = 0;
  #restarting: Promise<void> = Promise.resolve();

  constructor(options: WorkersOptions, limits: WorkerLimits, bound: BoundSocket) {
    this.#options = options;
    this.#limits = limits;
    this.#bound = bound;
    this.#looking = setInterval(() => this.#look(), limits.lookMs);
    this.url = urlOf(bound);
    this.warm = this.#isWarm.promise;
    this.warm.catch(() => {});
  }

  async start(): Promise<void> {
    const { workers, stream } = this.#options;
    const names = Array.from({ length: workers }, (_, i) => String(i + 1));
    for (const name of names) this.#fill(name, 'serve');
    if (stream) this.#fill('duties', 'duties');
    const children = this.#slots.map(({ child }) => child);
    await Promise.all(children.map(({ listening }) => listening));
    for (const slot of this.#slots) this.#keep(slot, slot.child);
    Promise.all(children.map(({ ready }) => ready)).then(
      () => this.#isWarm.resolve(),
      this.#isWarm.reject,
    );
  }

  #fill(name: string, role: WorkerSetup['role']): void {
    this.#slots.push({ name, role, child: this.#spawn(role, false), deaths: 0 });
  }

  restart(): Promise<void> {
    // One after the other, also when it is asked for again: there is never more than one child more than usual.
    this.#restarting = this.#restarting.catch(() => {}).then(() => this.#restartAll());
    return this.#restarting;
  }

  async #restartAll(): Promise<void> {
    for (const slot of this.#slots) {
      if (this.#ending.signal.aborted) return;
      const child = this.#spawn(slot.role, true);
      this.#coming = child;
      try {
        await child.ready;
      } catch (error) {
        if (this.#ending.signal.aborted) return;
        throw error;
      } finally {
        this.#coming = null;
      }
      const old = slot.child;
      slot.child = child;
      slot.deaths = 0;
      this.#keep(slot, child);
      await this.#end(old);
    }
  }

  /** Kills children that say nothing any more: what they were asked would be waited for in vain. Counts looks, so that a parent which the system lets not run blames nobody. */
  #look(): void {
    for (const child of this.#children) {
      if (++child.silent < this.#limits.silentLooks) continue;
      child.stuck = 'was stuck and has been killed';
      child.process.kill('SIGKILL');
    }
  }

  async metrics(): Promise<string> {
    const parts = await Promise.all(
      this.#slots.map(async ({ name, child }) => {
        const id = this.#questions++;
        const answer = Promise.withResolvers<string>();
        this.#asked.set(id, answer.resolve);
        tell(child, { type: 'metrics', id });
        const known = () => answer.resolve(child.metrics);
        const timer = setTimeout(known, METRICS_MS);
        void child.ended.then(known);
        const text = await answer.promise;
        clearTimeout(timer);
        this.#asked.delete(id);
        return { worker: name, text, child };
      }),
    );
    // What a child counted that has ended meanwhile is in the past already.
    const all: ProcessMetrics[] = parts.filter(({ child }) => this.#children.has(child));
    all.unshift({ worker: '', text: this.#past, ended: true });
    return `${mergeMetrics(all)}# HELP samewise_worker_deaths_total Processes of this server that died and were replaced
# TYPE samewise_worker_deaths_total counter
samewise_worker_deaths_total ${this.#deaths}
`;
  }

  async close(): Promise<void> {
    this.#ending.abort();
    // One that is to take over and may never be warm is not waited for; one that has taken over is a child like others.
    this.#coming?.process.kill('SIGKILL');
    await this.#restarting.catch(() => {});
    // The children have it, too, and close it at once: from then on the system refuses who comes, where it would let them wait.
    this.#bound.close();
    await Promise.all(this.#slots.map(({ child }) => this.#end(child)));
    clearInterval(this.#looking);
  }

  /** Resolves when the child has ended, of itself or by force. */
  async #end(child: Child): Promise<void> {
    tell(child, { type: 'stop' });
    const late = setTimeout(() => child.process.kill('SIGKILL'), this.#limits.endMs);
    await child.ended;
    clearTimeout(late);
  }

  /** A child that ends though nobody told it to is replaced. */
  #keep(slot: Slot, child: Child): void {
    child.ended.then(async (why) => {
      if (slot.child !== child || this.#ending.signal.aborted) return;
      this.#deaths++;
      const livedMs = performance.now() - child.startedMs;
      slot.deaths = livedMs > SETTLED_MS ? 1 : slot.deaths + 1;
      const restMs =
        slot.deaths === 1 ? 0 : Math.min(MOST_REST_MS, FIRST_REST_MS * 2 ** (slot.deaths - 2));
      this.#options.onDeath(slot.name, why, restMs);
      await sleep(restMs, this.#ending.signal);
      // A restart may have filled the place meanwhile.
      if (slot.child !== child || this.#ending.signal.aborted) return;
      slot.child = this.#spawn(slot.role, true);
      this.#keep(slot, slot.child);
    });
  }

  #spawn(role: WorkerSetup['role'], warmFirst: boolean): Child {
    const { projectDir, stream, main } = this.#options;
    const setup: WorkerSetup = {
      projectDir: resolve(projectDir),
      role,
      warmFirst,
      tellsNoDuties: stream,
    };
    const child = fork(main, [JSON.stringify(setup)], {
      // The last one is what SOCKET_FD says.
      stdio: [
        'ignore',
        'inherit',
        'inherit',
        'ipc',
        role === 'serve' ? this.#bound.fd() : 'ignore',
      ],
    });
    const listening = Promise.withResolvers<void>();
    const ready = Promise.withResolvers<void>();
    const ended = endOf(child).then((how) => {
      this.#children.delete(one);
      this.#past = mergeMetrics([
        { worker: '', text: this.#past, ended: true },
        { worker: '', text: one.metrics, ended: true },
      ]);
      const why = one.stuck ?? how;
      refuse(
        new SamewiseError('app/worker-failed', `a process of the server ${why} as it started`),
      );
      return why;
    });
    const refuse = (error: SamewiseError) => {
      listening.reject(error);
      ready.reject(error);
    };
    // Whoever waits for them is told.
    listening.promise.catch(() => {});
    ready.promise.catch(() => {});
    child.on('message', async (message: ToParent) => {
      one.silent = 0;
      switch (message.type) {
        case 'listening':
          return listening.resolve();
        case 'ready':
          return ready.resolve();
        case 'failed': {
          const { code, message: text, where, hint } = message.error;
          return refuse(new SamewiseError(code, text, { where, hint }));
        }
        case 'metrics':
          one.metrics = message.text || one.metrics;
          return this.#asked.get(message.id)?.(one.metrics);
        case 'counted':
          one.metrics = message.text || one.metrics;
          return;
        case 'alive':
          return;
        case 'gather':
          return tell(one, { type: 'gathered', id: message.id, text: await this.metrics() });
      }
    });
    const one: Child = {
      process: child,
      startedMs: performance.now(),
      listening: listening.promise,
      ready: ready.promise,
      ended,
      metrics: '',
      silent: this.#limits.silentLooks - this.#limits.startLooks,
      stuck: null,
    };
    this.#children.add(one);
    return one;
  }
}

/** How a child ends; one that the system has no process for never begins. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) =>
      resolve(signal === null ? `ended with ${code}` : `ended by ${signal}`),
    );
    child.on('error', (error) => {
      if (child.pid === undefined) resolve(`failed (${error.message})`);
    });
  });
}

/** The channel of a child that has just died is closed before its end is known. */
function tell({ process }: Child, message: ToChild): void {
  if (process.connected) process.send(message, () => {});
}

async function bind({ host, port }: WorkersOptions): Promise<BoundSocket> {
  try {
    const { address } = await lookup(host);
    return new BoundSocket({ host: address, port });
  } catch (cause) {
    throw cannotListen(host, port, cause as Error);
  }
}

function urlOf(bound: BoundSocket): string {
  const { address, port } = bound.address();
  // What means every address is reached by the one of this machine.
  const reached = { '0.0.0.0': '127.0.0.1', '::': '::1' }[address] ?? address;
  return `http://${reached.includes(':') ? `[${reached}]` : reached}:${port}`;
}
