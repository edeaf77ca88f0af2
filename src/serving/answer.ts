/**
 * Vectors as JSON text, written by hand: int64 as bare digits, and several times faster than a serialiser that is told
 * no types.
 */
import { formatInstant } from '../base/time.ts';
import { STATUSES, type Status } from '../model/missing.ts';
import type { Dtype } from '../types/dtype.ts';
import { scalarToJsonText } from '../types/scalar.ts';
import type { ServiceProgram } from './service_program.ts';
import type { Vectors } from './vector.ts';

/** What is answered: outputs of a program, under names. */
export interface Columns {
  readonly outputs: readonly number[];
  readonly names: readonly string[];
  /** `"name":`, as it stands in an object; for all but the first with a comma before it. */
  readonly labels: readonly string[];
  /** The object of statuses where all values are there, which is what most answers say. */
  readonly allPresent: string;
  /** What stands around the times in the object of event times. */
  readonly aroundTimes: readonly string[];
  readonly dtypes: readonly Dtype[];
}

/** The named outputs of a program; without names all of them, under their own. */
export function columnsOf(
  program: ServiceProgram,
  named?: { readonly names: readonly string[]; readonly outputs: readonly number[] },
): Columns {
  const { outputs } = program.plan;
  const positions = named?.outputs ?? outputs.map((_, i) => i);
  const names = named?.names ?? outputs.map(({ name }) => name);
  const labels = names.map((name, i) => `${i > 0 ? ',' : ''}${JSON.stringify(name)}:`);
  return {
    outputs: positions,
    names,
    labels,
    allPresent: `{${labels.map((label) => `${label}"PRESENT"`).join('')}}`,
    aroundTimes: labels.length === 0 ? ['{}'] : [`{${labels[0]}`, ...labels.slice(1), '}'],
    dtypes: positions.map((position) => outputs[position]!.dtype),
  };
}

/** Three JSON texts of one shape. */
export interface Texts {
  readonly values: string;
  readonly statuses: string;
  readonly eventTimes: string;
}

/** What an answer says of itself that is not whole, as it stands behind another field. */
export function partialText({ partial }: Vectors): string {
  return partial ? ',"partial":true' : '';
}

/** How many values have which status. */
export type Tally = Record<Status, number>;

const NONE = Object.fromEntries(STATUSES.map((status) => [status, 0])) as Tally;

export function noValues(): Tally {
  return { ...NONE };
}

/** One row as three JSON objects by name. */
export function rowTexts(
  vectors: Vectors,
  row: number,
  { outputs, labels, dtypes, allPresent, aroundTimes }: Columns,
): Texts & { readonly tally: Tally } {
  let values = '{';
  const tally = noValues();
  // Outputs mostly come from one page, or from pages of the same events.
  const firstUs = outputs.length === 0 ? null : vectors.eventTimeUs(row, outputs[0]!);
  let sameTime = true;
  for (let i = 0; i < outputs.length; i++) {
    const output = outputs[i]!;
    tally[vectors.status(row, output)]++;
    if (vectors.eventTimeUs(row, output) !== firstUs) sameTime = false;
    values += labels[i]! + scalarToJsonText(vectors.value(row, output), dtypes[i]!);
  }
  let statuses = allPresent;
  if (tally.PRESENT < outputs.length)
    statuses = `{${labels.map((label, i) => `${label}"${vectors.status(row, outputs[i]!)}"`).join('')}}`;
  const times = sameTime
    ? aroundTimes.join(timeText(firstUs))
    : `{${labels.map((label, i) => label + timeText(vectors.eventTimeUs(row, outputs[i]!))).join('')}}`;
  return { values: `${values}}`, statuses, eventTimes: times, tally };
}

function timeText(us: number | null): string {
  return us === null ? 'null' : `"${formatInstant(us)}"`;
}

/** All rows as three JSON objects by name, each of an array with one item for each row. */
export function columnTexts(vectors: Vectors, { outputs, labels, dtypes }: Columns): Texts {
  const values: string[] = [];
  const statuses: string[] = [];
  const eventTimes: string[] = [];
  const { rows } = vectors;
  for (let i = 0; i < outputs.length; i++) {
    const output = outputs[i]!;
    const texts = { value: new Array(rows), status: new Array(rows), time: new Array(rows) };
    for (let row = 0; row < rows; row++) {
      const status = vectors.status(row, output);
      const us = vectors.eventTimeUs(row, output);
      texts.value[row] = scalarToJsonText(vectors.value(row, output), dtypes[i]!);
      texts.status[row] = `"${status}"`;
      texts.time[row] = timeText(us);
    }
    values.push(`${labels[i]!}[${texts.value.join()}]`);
    statuses.push(`${labels[i]!}[${texts.status.join()}]`);
    eventTimes.push(`${labels[i]!}[${texts.time.join()}]`);
  }
  return {
    values: `{${values.join('')}}`,
    statuses: `{${statuses.join('')}}`,
    eventTimes: `{${eventTimes.join('')}}`,
  };
}
