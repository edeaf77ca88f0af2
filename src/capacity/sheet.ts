/**
 * Numbers that say where they come from. A term is a number together with the formula that gave it, made by the same call:
 * what a document prints beside a number cannot be another formula than the one that was computed.
 */
import { assert } from '../base/errors.ts';

export type Unit = '' | 'bytes' | 'bytes/s' | '/s' | 'cores' | 'ms' | 's' | 'µs';

/** A number and the text of how it was made. */
export interface Term {
  readonly value: number;
  readonly text: string;
  /** 2: a name or a number; 1: a product or a quotient; 0: a sum. Lower ones are put into brackets within higher ones. */
  readonly binds: 0 | 1 | 2;
}

/** One line of a sheet. */
export interface Line {
  readonly name: string;
  readonly unit: Unit;
  readonly value: number;
  /** How it follows from other lines; null: it was given. */
  readonly formula: string | null;
  /** Where a given number comes from; of a formula, why it is so. */
  readonly because: string;
}

function inside(term: Term, least: number): string {
  return term.binds < least ? `(${term.text})` : term.text;
}

/** A plain number, which is printed as it is. */
export function number(value: number): Term {
  return { value, text: String(value), binds: 2 };
}

export function plus(...terms: readonly Term[]): Term {
  return {
    value: terms.reduce((sum, { value }) => sum + value, 0),
    text: terms.map((term) => term.text).join(' + '),
    binds: terms.length === 1 ? terms[0]!.binds : 0,
  };
}

export function minus(from: Term, term: Term): Term {
  return {
    value: from.value - term.value,
    text: `${from.text} − ${inside(term, 1)}`,
    binds: 0,
  };
}

export function times(...terms: readonly Term[]): Term {
  return {
    value: terms.reduce((product, { value }) => product * value, 1),
    text: terms.map((term) => inside(term, 1)).join(' × '),
    binds: 1,
  };
}

export function over(term: Term, by: Term): Term {
  assert(by.value !== 0, `${by.text} is zero`);
  return {
    value: term.value / by.value,
    text: `${inside(term, 1)} ÷ ${inside(by, 2)}`,
    binds: 1,
  };
}

function called(fn: string, compute: (...values: number[]) => number) {
  return (...terms: readonly Term[]): Term => ({
    value: compute(...terms.map(({ value }) => value)),
    text: `${fn}(${terms.map(({ text }) => text).join(', ')})`,
    binds: 2,
  });
}

/** Rounded up to a whole number; what floating point adds to a whole number does not count. */
export const roundedUp: (...terms: readonly Term[]) => Term = called('ceil', (value) =>
  Math.ceil(value! - 1e-9 * Math.abs(value!)),
);
export const naturalLog: (...terms: readonly Term[]) => Term = called('ln', (value) =>
  Math.log(value!),
);
export const greatest: (...terms: readonly Term[]) => Term = called('max', Math.max);

/** A list of named numbers; a name stands for its number in later formulas. */
export class Sheet {
  readonly lines: Line[] = [];
  readonly #names = new Set<string>();

  /** A number that was given, measured or sampled. */
  given(name: string, unit: Unit, value: number, because: string): Term {
    return this.#add({ name, unit, value, formula: null, because });
  }

  /** A number that follows from others. */
  put(name: string, unit: Unit, term: Term, because = ''): Term {
    return this.#add({ name, unit, value: term.value, formula: term.text, because });
  }

  #add(line: Line): Term {
    assert(!this.#names.has(line.name), `there is one ${line.name}`);
    assert(Number.isFinite(line.value), `${line.name} is a number`);
    this.#names.add(line.name);
    this.lines.push(line);
    return { value: line.value, text: `[${line.name}]`, binds: 2 };
  }
}
