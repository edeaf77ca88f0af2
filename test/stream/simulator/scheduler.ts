/** Time of the simulation: a queue of what happens when. Nothing runs but what the queue gives, one thing after the other. */
interface Event {
  readonly atUs: number;
  readonly order: number;
  run: (() => void) | null;
}

export class Scheduler {
  nowUs: number;
  /** Events that ran; a limit on it finds what never ends. */
  steps = 0;
  #order = 0;
  readonly #heap: Event[] = [];

  constructor(startUs: number) {
    this.nowUs = startUs;
  }

  /** Runs something later; what is given back calls it off. */
  after(delayUs: number, run: () => void): () => void {
    const event: Event = { atUs: this.nowUs + delayUs, order: this.#order++, run };
    this.#push(event);
    return () => {
      event.run = null;
    };
  }

  /** Lets time pass until the promise is settled. Fails after `limit` events: something waits for what never comes. */
  async until<T>(promise: Promise<T>, limit: number): Promise<T> {
    let ended = false;
    promise.then(
      () => {
        ended = true;
      },
      () => {
        ended = true;
      },
    );
    const end = this.steps + limit;
    for (;;) {
      // All that the last event set off has run when this turn comes.
      await new Promise((resolve) => setImmediate(resolve));
      if (ended) return promise;
      let event = this.#pop();
      // What was called off sets nothing off: no turn for it.
      while (event !== undefined && event.run === null) event = this.#pop();
      if (event === undefined) throw new Error('the simulation stands still');
      if (this.steps++ > end) throw new Error(`the simulation does not end within ${limit} events`);
      this.nowUs = Math.max(this.nowUs, event.atUs);
      event.run!();
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (before(heap[parent]!, event)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (before(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

function before(a: Event, b: Event): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order);
}
