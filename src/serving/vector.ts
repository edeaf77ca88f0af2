/**
 * Feature vectors: entities × a service → values, statuses and event times. One path for one entity and for thousands:
 * all pages of a level in one round trip, each read at T, then the on-demand programs over all rows at once.
 */
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import { type Assembled, assemble, type Status, type ViewProgram } from '../model/index.ts';
import type { MaybePromise } from '../online/contract.ts';
import type { Column } from '../types/column.ts';
import { ColumnBuilder, columnOf, scalarAt } from '../types/column.ts';
import { int64 } from '../types/dtype.ts';
import { encodeKey } from '../types/key.ts';
import type { Scalar } from '../types/scalar.ts';
import {
  type BringBack,
  type PageAnswer,
  type PageCounter,
  type PageRead,
  type PageSource,
  type PageStore,
  readPages,
  timedOut,
  unknownEntity,
} from './pages.ts';
import type { KeyGroup, ServiceProgram } from './service_program.ts';
import { type StaleParts, withhold } from './staleness.ts';
import { computedStatus, storedStatus, storedValue } from './stand_in.ts';

/** One entity's request: values in the order of the program's `inputs`, in their types. A null key part is an unknown entity. */
export type RequestRow = readonly (Scalar | null)[];

/** Answers by row and by output of the plan. */
export class Vectors {
  readonly program: ServiceProgram;
  readonly rows: number;
  /** Whether some page had not come when the time was up: what depends on it is null and TIMED_OUT. */
  readonly partial: boolean;
  /** Positions of outputs that are made from something stale, and served nevertheless. */
  readonly stale: readonly number[];
  readonly #pages: readonly (readonly PageAnswer[])[];
  readonly #computed: Assembled | null;

  constructor(
    program: ServiceProgram,
    rows: number,
    /** By look-up, then by row. */
    pages: readonly (readonly PageAnswer[])[],
    computed: Assembled | null,
    partial: boolean,
    stale: readonly number[],
  ) {
    this.program = program;
    this.rows = rows;
    this.partial = partial;
    this.stale = stale;
    this.#pages = pages;
    this.#computed = computed;
  }

  /** What a row was made from, by look-up. */
  pages(row: number): PageAnswer[] {
    return this.#pages.map((pages) => pages[row]!);
  }

  /** The value, with the feature's fallbacks and default in place of one that is missing. */
  value(row: number, output: number): Scalar | null {
    const source = this.program.sources[output]!;
    if (this.partial && this.#isTimedOut(row, output)) return null;
    if (source.lookup < 0) return scalarAt(this.#computed!.columns[source.index]!, row);
    return storedValue(this.#pages, row, source);
  }

  /** Whether every value of the row is stored and PRESENT, so that nobody need look at each. */
  isWhole(row: number): boolean {
    if (this.#computed !== null) return false;
    const pages = this.#pages;
    for (let i = 0; i < pages.length; i++) if (!pages[i]![row]!.whole) return false;
    return true;
  }

  /** Whether every row is. */
  areWhole(): boolean {
    for (let row = 0; row < this.rows; row++) if (!this.isWhole(row)) return false;
    return true;
  }

  /** What was read in a look-up, by row. */
  pagesOf(lookup: number): readonly PageAnswer[] {
    return this.#pages[lookup]!;
  }

  /** The value as it is stored: that of an output of a row that is whole. */
  stored(row: number, output: number): Scalar | null {
    const { lookup, index } = this.program.sources[output]!;
    return this.#pages[lookup]![row]!.values[index]!;
  }

  /** What is known of the value. */
  status(row: number, output: number): Status {
    const source = this.program.sources[output]!;
    if (this.partial && this.#isTimedOut(row, output)) return 'TIMED_OUT';
    return source.lookup < 0
      ? computedStatus(this.#computed!.raw[source.index]!, row, source)
      : storedStatus(this.#pages, row, source);
  }

  /** When the newest event of the entity before T happened; null if there is none, and for computed outputs. */
  eventTimeUs(row: number, output: number): InstantUs | null {
    const { lookup } = this.program.sources[output]!;
    return lookup >= 0 ? this.#pages[lookup]![row]!.eventTimeUs : null;
  }

  /** Whether a page of the row had not come. */
  isPartial(row: number): boolean {
    return this.partial && this.#pages.some((pages) => pages[row]!.timedOut);
  }

  #isTimedOut(row: number, output: number): boolean {
    return this.program.sources[output]!.needs.some(
      (lookup) => this.#pages[lookup]![row]!.timedOut,
    );
  }
}

export class VectorReader {
  readonly #store: PageStore;
  readonly #counter: PageCounter;

  /** Without `bringBack` evicted keys are refused (`timeline/evicted-page`). */
  constructor(online: PageSource, counter: PageCounter, bringBack: BringBack = refused) {
    this.#store = { online, bringBack };
    this.#counter = counter;
  }

  /**
   * Reads every row at `readUs` (one time for all, or one for each row): events strictly before it count.
   * `logged` names, in order, the rows whose pages are to tell their positions. Answers at once where the store does. Throws or rejects as `readPages` does, `types/bad-key` for a key that is too long, and what an on-demand program throws.
   */
  read(
    program: ServiceProgram,
    rows: readonly RequestRow[],
    readUs: InstantUs | Float64Array,
    logged: readonly number[] = [],
  ): MaybePromise<Vectors> {
    const reading = this.begin(program, rows, readUs, logged, null);
    const whole = reading.read(0, rows.length);
    return whole instanceof Promise ? whole.then(() => reading.end()) : reading.end();
  }

  /** The same in parts, for who cannot wait for all of it; what is `stale` and to be withheld is, as if it were null. */
  begin(
    program: ServiceProgram,
    rows: readonly RequestRow[],
    readUs: InstantUs | Float64Array,
    logged: readonly number[],
    stale: StaleParts | null,
  ): VectorReading {
    return new VectorReading(this.#store, this.#counter, program, rows, readUs, logged, stale);
  }
}

async function refused({ view }: ViewProgram): Promise<never> {
  throw new SamewiseError('timeline/evicted-page', 'the events of the key are in history alone', {
    where: { view: view.name },
  });
}

/** A page of a row, and where its answer goes. */
interface Wanted extends PageRead {
  readonly lookup: number;
  readonly row: number;
}

/** Vectors that are being read. */
export class VectorReading {
  readonly #store: PageStore;
  readonly #counter: PageCounter;
  readonly #program: ServiceProgram;
  readonly #rows: readonly RequestRow[];
  readonly #readUs: InstantUs | Float64Array;
  readonly #logged: readonly number[];
  readonly #stale: StaleParts | null;
  /** By look-up, then by row: what has come. */
  readonly #pages: (PageAnswer | undefined)[][];
  #ended = false;

  constructor(
    store: PageStore,
    counter: PageCounter,
    program: ServiceProgram,
    rows: readonly RequestRow[],
    readUs: InstantUs | Float64Array,
    logged: readonly number[],
    stale: StaleParts | null,
  ) {
    this.#store = store;
    this.#counter = counter;
    this.#program = program;
    this.#rows = rows;
    this.#readUs = readUs;
    this.#logged = logged;
    this.#stale = stale;
    this.#pages = program.plan.lookups.map(() => new Array(rows.length));
  }

  /** Reads the rows from…to: one round trip a level. Parts may be under way side by side. */
  read(from: number, to: number): MaybePromise<void> {
    return this.#readFrom(0, from, to);
  }

  #readFrom(level: number, from: number, to: number): MaybePromise<void> {
    const { levels } = this.#program;
    for (let at = level; at < levels.length && !this.#ended; at++) {
      const wanted: Wanted[] = [];
      for (const group of levels[at]!) this.#want(group, from, to, wanted);
      const reading = readPages(this.#store, wanted, this.#counter, (i, answer) => {
        const { lookup, row } = wanted[i]!;
        const withheld = this.#stale?.withheld[lookup] ?? null;
        if (!this.#ended)
          this.#pages[lookup]![row] = withheld === null ? answer : withhold(answer, withheld);
      });
      if (reading instanceof Promise) return reading.then(() => this.#readFrom(at + 1, from, to));
    }
  }

  /** The vectors of what has come until now; what comes later changes nothing any more. */
  end(): Vectors {
    this.#ended = true;
    const rows = this.#rows.length;
    let partial = false;
    for (let i = 0; i < this.#pages.length; i++) {
      const pages = this.#pages[i]!;
      for (let row = 0; row < rows; row++) {
        if (pages[row] !== undefined) continue;
        pages[row] = timedOut(this.#program.plan.lookups[i]!.features.length);
        partial = true;
      }
    }
    const pages = this.#pages as PageAnswer[][];
    const computed = compute(this.#program, this.#rows, pages);
    const stale = this.#stale?.outputs ?? [];
    return new Vectors(this.#program, rows, pages, computed, partial, stale);
  }

  /** Adds the pages of a group, row by row; where a key part is null, puts what is said of an unknown entity at once. */
  #want(group: KeyGroup, from: number, to: number, wanted: Wanted[]): void {
    const { lookups } = this.#program.plan;
    const { keyDtypes } = lookups[group.lookups[0]!]!.program;
    const parts = new Array<Scalar | null>(group.keys.length);
    /** Of the next logged row, its place in `logged`. */
    let next = this.#logged.findIndex((row) => row >= from);
    for (let row = from; row < to; row++) {
      const atUs = typeof this.#readUs === 'number' ? this.#readUs : this.#readUs[row]!;
      let known = true;
      for (let i = 0; i < parts.length; i++) {
        const slot = group.keys[i]!;
        const part =
          slot.from === 'request'
            ? this.#rows[row]![group.inputs[i]!]!
            : storedValue(this.#pages, row, group.stored[i]!);
        parts[i] = part;
        known &&= part !== null;
      }
      const key = known ? encodeKey(parts, keyDtypes) : null;
      const tells = this.#logged[next] === row;
      if (tells) next++;
      for (const position of group.lookups) {
        const { program, features } = lookups[position]!;
        if (key === null) this.#pages[position]![row] = unknownEntity(program, features, atUs);
        else
          wanted.push({
            view: program.id,
            key,
            program,
            reads: features,
            readUs: atUs,
            tells,
            lookup: position,
            row,
          });
      }
    }
  }
}

function compute(
  program: ServiceProgram,
  rows: readonly RequestRow[],
  pages: readonly (readonly PageAnswer[])[],
): Assembled | null {
  const { computed, computedFrom, inputs } = program;
  if (computed === null) return null;
  const columns: Record<string, Column> = Object.create(null);
  inputs.forEach(({ name, dtype }, i) => {
    const builder = new ColumnBuilder(dtype, rows.length);
    for (const row of rows) builder.push(row[i]!);
    columns[name] = builder.finish();
  });
  // Columns that no computation reads stay holes: nobody looks at them.
  const looked = computed.lookups.map(({ dtypes, tellsFound }, lookup) => {
    const built: Column[] = [];
    dtypes.forEach((dtype, index) => {
      if (!computedFrom[lookup]![index]) return;
      const builder = new ColumnBuilder(dtype, rows.length);
      for (const page of pages[lookup]!) builder.push(page.values[index]!);
      built[index] = builder.finish();
    });
    if (tellsFound)
      built[dtypes.length] = columnOf(
        int64,
        pages[lookup]!.map(({ eventTimeUs }) => (eventTimeUs === null ? 0n : 1n)),
      );
    return built;
  });
  return assemble(computed, looked, { length: rows.length, columns });
}
