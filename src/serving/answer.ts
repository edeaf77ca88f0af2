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

/** What an answer says of itself that is not whole or not fresh, as it stands behind another field. */
export function caveatsText({ partial, stale }: Vectors, { outputs, names }: Columns): string {
  const lacking = partial ? ',"partial":true' : '';
  if (stale.length === 0) return lacking;
  const marked = names.filter((_, i) => stale.includes(outputs[i]!));
  return `${lacking},"stale":${JSON.stringify(marked)}`;
}

/** How many values have which status. */
export type Tally = Record<Status, number>;

/** The tallies of whole rows, by their number of outputs. */
const wholeRows = new Map<number, Tally>();

/** How many values of all rows have which status. */
export function tallyOf(vectors: Vectors): Readonly<Tally> {
  const outputs = vectors.program.sources.length;
  if (vectors.rows === 1 && vectors.isWhole(0))
    return wholeRows.getOrInsertComputed(outputs, () => ({ ...NONE, PRESENT: outputs }));
  const tally = { ...NONE };
  for (let row = 0; row < vectors.rows; row++)
    if (vectors.isWhole(row)) tally.PRESENT += outputs;
    else for (let output = 0; output < outputs; output++) tally[vectors.status(row, output)]++;
  return tally;
}

const NONE = Object.fromEntries(STATUSES.map((status) => [status, 0])) as Tally;

export function noValues(): Tally {
  return { ...NONE };
}

/** One row as three JSON objects by name. */
export function rowTexts(vectors: Vectors, row: number, columns: Columns): Texts {
  const { outputs, labels, allPresent, aroundTimes } = columns;
  const statuses = vectors.isWhole(row)
    ? allPresent
    : `{${outputs.map((output, i) => `${labels[i]!}"${vectors.status(row, output)}"`).join('')}}`;
  // Outputs mostly come from one page, or from pages of the same events.
  const firstUs = outputs.length === 0 ? null : vectors.eventTimeUs(row, outputs[0]!);
  let sameTime = true;
  for (let i = 1; i < outputs.length && sameTime; i++)
    sameTime = vectors.eventTimeUs(row, outputs[i]!) === firstUs;
  const times = sameTime
    ? aroundTimes.join(timeText(firstUs))
    : `{${labels.map((label, i) => label + timeText(vectors.eventTimeUs(row, outputs[i]!))).join('')}}`;
  return { values: valuesText(vectors, row, columns), statuses, eventTimes: times };
}

/** The values of one row as a JSON object by name. */
function valuesText(vectors: Vectors, row: number, { outputs, labels, dtypes }: Columns): string {
  const whole = vectors.isWhole(row);
  let text = '{';
  for (let i = 0; i < outputs.length; i++) {
    const output = outputs[i]!;
    const value = whole ? vectors.stored(row, output) : vectors.value(row, output);
    text += labels[i]! + scalarToJsonText(value, dtypes[i]!);
  }
  return `${text}}`;
}

/** All rows: the texts of the values, and with `full` those of statuses and event times. */
export function vectorTexts(
  vectors: Vectors,
  columns: Columns,
  full: boolean,
): Pick<Texts, 'values'> & Partial<Texts> {
  if (!full) {
    let values = '';
    for (let row = 0; row < vectors.rows; row++)
      values += (row > 0 ? ',' : '') + valuesText(vectors, row, columns);
    return { values: `[${values}]` };
  }
  const rows = Array.from({ length: vectors.rows }, (_, row) => rowTexts(vectors, row, columns));
  return {
    values: `[${rows.map(({ values }) => values).join()}]`,
    statuses: `[${rows.map(({ statuses }) => statuses).join()}]`,
    eventTimes: `[${rows.map(({ eventTimes }) => eventTimes).join()}]`,
  };
}

function timeText(us: number | null): string {
  return us === null ? 'null' : `"${formatInstant(us)}"`;
}

/** The same as one JSON object by name, each of an array with one item for each row. */
export function columnTexts(
  vectors: Vectors,
  { outputs, labels, dtypes }: Columns,
  full: boolean,
): Pick<Texts, 'values'> & Partial<Texts> {
  const { rows } = vectors;
  const columns = (text: (row: number, output: number, dtype: Dtype) => string) => {
    let texts = '{';
    for (let i = 0; i < outputs.length; i++) {
      texts += `${labels[i]!}[`;
      for (let row = 0; row < rows; row++)
        texts += (row > 0 ? ',' : '') + text(row, outputs[i]!, dtypes[i]!);
      texts += ']';
    }
    return `${texts}}`;
  };
  const values = columns(
    vectors.areWhole()
      ? (row, output, dtype) => scalarToJsonText(vectors.stored(row, output), dtype)
      : (row, output, dtype) => scalarToJsonText(vectors.value(row, output), dtype),
  );
  if (!full) return { values };
  return {
    values,
    statuses: columns((row, output) => `"${vectors.status(row, output)}"`),
    eventTimes: columns((row, output) => timeText(vectors.eventTimeUs(row, output))),
  };
}
