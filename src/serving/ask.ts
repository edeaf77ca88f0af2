/**
 * What every protocol asks with: the vectors of some entities, read within a deadline, logged, counted, and refused where too
 * much is under way. A protocol turns its request into rows before and the vectors into its answer after.
 */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import type { MaybePromise } from '../online/contract.ts';
import { tallyOf } from './answer.ts';
import type { Revision } from './definitions.ts';
import type { FeatureLog } from './feature_log.ts';
import { logVectors } from './logged_vector.ts';
import type { Metrics } from './metrics.ts';
import type { ServiceProgram } from './service_program.ts';
import type { RequestRow, VectorReader, VectorReading, Vectors } from './vector.ts';

/** Most entities of one request. */
export const MAX_ENTITIES = 5_000;
/** Pages that are read at once; between two such parts of a request others get their turn. */
const PART_PAGES = 256;
/** How long a request may keep the turn, in milliseconds. */
const TURN_MS = 5;
/** Pages of all requests under way. One request alone may have more. */
const MAX_PAGES_UNDER_WAY = 50_000;

/** One request for vectors. */
export interface Question {
  /** The revision that the program is of. */
  readonly revision: Revision;
  readonly program: ServiceProgram;
  readonly rows: readonly RequestRow[];
  /** Events strictly before it count. */
  readonly readUs: InstantUs;
  /** Reading of the monotonic clock after which nothing is waited for; ∞: there is none. */
  readonly untilMs: number;
  /** What the client calls the request; null: an id is made where one is needed. */
  readonly requestId: string | null;
  /** Rows to log, in order; unless told they are drawn here. */
  readonly chosen?: readonly number[];
}

export interface AskParts {
  readonly clock: Clock;
  readonly reader: VectorReader;
  readonly metrics: Metrics;
  readonly featureLog: FeatureLog | null;
}

export class Ask {
  readonly #parts: AskParts;
  #pagesUnderWay = 0;

  constructor(parts: AskParts) {
    this.#parts = parts;
  }

  /**
   * The vectors of a question, at once where the store answers at once and there are few. What has not come when the deadline
   * passes is null and TIMED_OUT, and the vectors are `partial`. Throws or rejects `serving/too-many-entities`,
   * `serving/overloaded`, `serving/stale-feature`, and as `VectorReader.read` does.
   */
  vectors(question: Question): MaybePromise<Vectors> {
    const { reader, metrics, featureLog } = this.#parts;
    const { program, rows, readUs, untilMs } = question;
    if (rows.length > MAX_ENTITIES) {
      throw new SamewiseError(
        'serving/too-many-entities',
        `${rows.length} entities asked; at most ${MAX_ENTITIES} in one request`,
        { where: { field: 'entities' }, hint: 'send them in several requests' },
      );
    }
    const pages = rows.length * Math.max(1, program.plan.lookups.length);
    if (this.#pagesUnderWay > 0 && this.#pagesUnderWay + pages > MAX_PAGES_UNDER_WAY) {
      metrics.refused();
      throw new SamewiseError('serving/overloaded', 'too many entities are being read already', {
        hint: 'try again after the time that Retry-After says',
      });
    }
    const stale = question.revision.staleness.ofRead(program, readUs);
    const chosen = question.chosen ?? featureLog?.choose(rows.length) ?? [];
    const reading = reader.begin(program, rows, readUs, chosen, stale);
    // Few rows of a store that answers at once need no more than this.
    const first = Math.min(rows.length, this.#rowsOfPart(program));
    const begun = reading.read(0, first);
    if (first === rows.length && !(begun instanceof Promise))
      return this.#end(question, reading, chosen);
    this.#pagesUnderWay += pages;
    const whole = this.#rest(question, reading, first, begun).finally(() => {
      // Not when the deadline passes: what is still to come takes its place as before.
      this.#pagesUnderWay -= pages;
    });
    return within(whole, untilMs - this.#parts.clock.monotonicMs()).then(() =>
      this.#end(question, reading, chosen),
    );
  }

  #rowsOfPart({ plan }: ServiceProgram): number {
    return Math.max(1, Math.floor(PART_PAGES / Math.max(1, plan.lookups.length)));
  }

  /** Reads from row `from` on, part by part, and waits for all parts. Ends early where the deadline passes in between. */
  async #rest(
    { program, rows, untilMs }: Question,
    reading: VectorReading,
    from: number,
    begun: MaybePromise<void>,
  ): Promise<void> {
    const { clock } = this.#parts;
    const parts: MaybePromise<void>[] = [];
    // What fails is looked at with all others in the end.
    const add = (part: MaybePromise<void>) => {
      if (part instanceof Promise) part.catch(() => {});
      parts.push(part);
    };
    add(begun);
    const step = this.#rowsOfPart(program);
    let sinceMs = clock.monotonicMs();
    for (let row = from; row < rows.length; row += step) {
      const nowMs = clock.monotonicMs();
      if (nowMs >= untilMs) break;
      if (nowMs - sinceMs >= TURN_MS) {
        await setImmediate();
        sinceMs = clock.monotonicMs();
      }
      add(reading.read(row, Math.min(rows.length, row + step)));
    }
    await Promise.all(parts);
  }

  #end(question: Question, reading: VectorReading, chosen: readonly number[]): Vectors {
    const { clock, metrics, featureLog } = this.#parts;
    const vectors = reading.end();
    metrics.answer(vectors.rows, tallyOf(vectors));
    if (vectors.partial) metrics.partial();
    // Of what did not come nothing can be proved.
    const logged = vectors.partial ? chosen.filter((row) => !vectors.isPartial(row)) : chosen;
    if (logged.length > 0)
      logVectors(featureLog!, vectors, logged, {
        requestId: question.requestId,
        registered: question.revision.registered,
        rows: question.rows,
        readUs: question.readUs,
        servedUs: clock.nowUs(),
      });
    return vectors;
  }
}

/** Settles as `work` does, but is fulfilled after `ms` at the latest. */
function within(work: Promise<void>, ms: number): Promise<void> {
  if (ms === Number.POSITIVE_INFINITY) return work;
  return new Promise((resolve, reject) => {
    // A longer one would overflow, and nobody waits for so long.
    const timer = setTimeout(resolve, Math.min(Math.max(0, ms), 2 ** 31 - 1));
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
