/**
 * Feature vectors: entities × a service → values, statuses and event times. One path for one entity and for thousands:
 * all pages of a level in one round trip, each read at T, then the on-demand programs over all rows at once.
 */
import type { InstantUs } from '../base/time.ts';
import { type Assembled, assemble, type Status } from '../model/index.ts';
import type { MaybePromise, OnlineStore } from '../online/contract.ts';
import type { Column } from '../types/column.ts';
import { ColumnBuilder, scalarAt } from '../types/column.ts';
import { encodeKey } from '../types/key.ts';
import type { Scalar } from '../types/scalar.ts';
import {
  type PageAnswer,
  type PageCounter,
  type PageRead,
  readPages,
  unknownEntity,
} from './pages.ts';
import type { KeyGroup, ServiceProgram } from './service_program.ts';

/** One entity's request: values in the order of the program's `inputs`, in their types. A null key part is an unknown entity. */
export type RequestRow = readonly (Scalar | null)[];

/** Answers by row and by output of the plan. */
export class Vectors {
  readonly program: ServiceProgram;
  readonly rows: number;
  readonly #pages: readonly (readonly PageAnswer[])[];
  readonly #computed: Assembled | null;

  constructor(
    program: ServiceProgram,
    rows: number,
    /** By look-up, then by row. */
    pages: readonly (readonly PageAnswer[])[],
    computed: Assembled | null,
  ) {
    this.program = program;
    this.rows = rows;
    this.#pages = pages;
    this.#computed = computed;
  }

  /** What a row was made from, by look-up. */
  pages(row: number): PageAnswer[] {
    return this.#pages.map((pages) => pages[row]!);
  }

  /** The value, with the feature's default in place of null. */
  value(row: number, output: number): Scalar | null {
    const source = this.program.sources[output]!;
    if (source.lookup < 0) return scalarAt(this.#computed!.columns[source.index]!, row);
    return this.#pages[source.lookup]![row]!.values[source.index] ?? source.default;
  }

  /** What is known of the value before its default. */
  status(row: number, output: number): Status {
    const { lookup, index } = this.program.sources[output]!;
    if (lookup >= 0) return this.#pages[lookup]![row]!.statuses[index]!;
    const raw = this.#computed!.raw[index]!;
    return raw.validity !== null && raw.validity[row] === 0 ? 'NULL_VALUE' : 'PRESENT';
  }

  /** When the newest event of the entity before T happened; null if there is none, and for computed outputs. */
  eventTimeUs(row: number, output: number): InstantUs | null {
    const { lookup } = this.program.sources[output]!;
    return lookup >= 0 ? this.#pages[lookup]![row]!.eventTimeUs : null;
  }
}

export class VectorReader {
  readonly #online: OnlineStore;
  readonly #counter: PageCounter;

  constructor(online: OnlineStore, counter: PageCounter) {
    this.#online = online;
    this.#counter = counter;
  }

  /**
   * Reads every row at `readUs` (one time for all, or one for each row): events strictly before it count.
   * `logged` names the rows whose pages are to tell their positions. Answers at once where the store does. Throws or rejects as `readPages` does, `types/bad-key` for a key that is too long, and what an on-demand program throws.
   */
  read(
    program: ServiceProgram,
    rows: readonly RequestRow[],
    readUs: InstantUs | Float64Array,
    logged: readonly number[] = [],
  ): MaybePromise<Vectors> {
    const pages: PageAnswer[][] = program.plan.lookups.map(() => []);
    return this.#readFrom(0, program, rows, readUs, pages, logged);
  }

  #readFrom(
    level: number,
    program: ServiceProgram,
    rows: readonly RequestRow[],
    readUs: InstantUs | Float64Array,
    pages: PageAnswer[][],
    logged: readonly number[],
  ): MaybePromise<Vectors> {
    const { levels } = program;
    for (let at = level; at < levels.length; at++) {
      const groups = levels[at]!;
      const wanted: PageRead[] = [];
      for (const group of groups) want(program, group, rows, readUs, pages, wanted, logged);
      const answers = readPages(this.#online, wanted, this.#counter);
      if (answers instanceof Promise)
        return answers.then((late) => {
          place(groups, rows.length, pages, late);
          return this.#readFrom(at + 1, program, rows, readUs, pages, logged);
        });
      place(groups, rows.length, pages, answers);
    }
    return new Vectors(program, rows.length, pages, compute(program, rows, pages));
  }
}

/** Adds the pages of a group, row by row; where a key part is null, puts what is said of an unknown entity at once. */
function want(
  program: ServiceProgram,
  group: KeyGroup,
  rows: readonly RequestRow[],
  readUs: InstantUs | Float64Array,
  pages: PageAnswer[][],
  wanted: PageRead[],
  logged: readonly number[],
): void {
  const { lookups } = program.plan;
  const { keyDtypes } = lookups[group.lookups[0]!]!.program;
  const parts = new Array<Scalar | null>(group.keys.length);
  /** Of the next logged row, its place in `logged`. */
  let next = 0;
  for (let row = 0; row < rows.length; row++) {
    const atUs = typeof readUs === 'number' ? readUs : readUs[row]!;
    let known = true;
    for (let i = 0; i < parts.length; i++) {
      const slot = group.keys[i]!;
      const part =
        slot.from === 'request'
          ? rows[row]![group.inputs[i]!]!
          : (pages[slot.lookup]![row]!.values[slot.index] ??
            lookups[slot.lookup]!.defaults[slot.index]!);
      parts[i] = part;
      known &&= part !== null;
    }
    const key = known ? encodeKey(parts, keyDtypes) : null;
    const tells = logged[next] === row;
    if (tells) next++;
    for (const position of group.lookups) {
      const lookup = lookups[position]!;
      if (key === null)
        pages[position]![row] = unknownEntity(lookup.program, lookup.features, atUs);
      else
        wanted.push({
          view: lookup.program.id,
          key,
          program: lookup.program,
          reads: lookup.features,
          readUs: atUs,
          tells,
        });
    }
  }
}

/** Puts answers where `want` left gaps, in the same order. */
function place(
  groups: readonly KeyGroup[],
  rows: number,
  pages: PageAnswer[][],
  answers: readonly PageAnswer[],
): void {
  let next = 0;
  for (const { lookups } of groups)
    for (let row = 0; row < rows; row++)
      for (const position of lookups) pages[position]![row] ??= answers[next++]!;
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
  const looked = computed.lookups.map(({ dtypes }, lookup) => {
    const built: Column[] = [];
    dtypes.forEach((dtype, index) => {
      if (!computedFrom[lookup]![index]) return;
      const builder = new ColumnBuilder(dtype, rows.length);
      for (const page of pages[lookup]!) builder.push(page.values[index]!);
      built[index] = builder.finish();
    });
    return built;
  });
  return assemble(computed, looked, { length: rows.length, columns });
}
