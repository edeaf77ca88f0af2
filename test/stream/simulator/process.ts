/** A process of the simulation: what it asks of others takes time, fails, is done twice or too late; it may die or freeze at any await. */
import type { Clock } from '../../../src/base/clock.ts';
import { SamewiseError } from '../../../src/base/errors.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** How likely each fault is, for each call. */
export interface Faults {
  /** Refused before it has any effect, or answered with an error after it had. */
  readonly failBefore: number;
  readonly failAfter: number;
  /** Delivered once more, up to seconds later. */
  readonly repeated: number;
  /** Takes up to seconds. */
  readonly slow: number;
}

export const NO_FAULTS: Faults = { failBefore: 0, failAfter: 0, repeated: 0, slow: 0 };

export class Process {
  readonly name: string;
  readonly random: Random;
  readonly scheduler: Scheduler;
  faults: Faults;
  alive = true;
  /** Until then nothing reaches it, though it is not dead. */
  frozenUntilUs = 0;
  /** How wrong its clock is; it jumps. */
  skewUs = 0;

  constructor(name: string, scheduler: Scheduler, random: Random, faults: Faults) {
    this.name = name;
    this.scheduler = scheduler;
    this.random = random;
    this.faults = faults;
  }

  readonly clock: Clock = {
    nowUs: () => this.scheduler.nowUs + this.skewUs,
    monotonicMs: () => this.scheduler.nowUs / 1000,
  };

  /** Asks somebody to do something. `effect` runs there, at once as a whole; `failing` is what it leaves when it breaks off in the middle. */
  call<T>(effect: () => T, torn?: () => void): Promise<T> {
    const { random, faults, scheduler } = this;
    const delay = () =>
      random.chance(faults.slow) ? random.below(3_000_000) : random.below(2_000);
    return new Promise<T>((resolve, reject) => {
      if (!this.alive) return;
      const answer = (settle: () => void) => scheduler.after(delay(), () => this.deliver(settle));
      scheduler.after(delay(), () => {
        if (random.chance(faults.failBefore)) {
          if (torn !== undefined && random.chance(0.5)) torn();
          answer(() => reject(unavailable('refused')));
          return;
        }
        let result: T;
        try {
          result = effect();
        } catch (error) {
          answer(() => reject(error));
          return;
        }
        if (random.chance(faults.repeated)) {
          scheduler.after(random.below(3_000_000), () => {
            try {
              effect();
            } catch {
              // Nobody waits for its answer.
            }
          });
        }
        if (random.chance(faults.failAfter)) answer(() => reject(unavailable('answer lost')));
        else answer(() => resolve(result));
      });
    });
  }

  /** Lets the process know something, when it can take notice. */
  deliver(notice: () => void): void {
    if (!this.alive) return;
    const left = this.frozenUntilUs - this.scheduler.nowUs;
    if (left > 0) this.scheduler.after(left, () => this.deliver(notice));
    else notice();
  }

  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const wake = () => {
        signal?.removeEventListener('abort', abort);
        this.deliver(resolve);
      };
      const cancel = this.scheduler.after(ms * 1000, wake);
      const abort = () => {
        cancel();
        resolve();
      };
      signal?.addEventListener('abort', abort, { once: true });
    });
}

function unavailable(why: string): SamewiseError {
  return new SamewiseError('online/unavailable', `the network of the simulation: ${why}`);
}
