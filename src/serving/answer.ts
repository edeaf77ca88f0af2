/**
 * Vectors as JSON text, written by hand: int64 as bare digits, and several times faster than a serialiser that is told
 * no types.
 */
import { formatInstant } from '../base/time.ts';
import type { Dtype } from '../types/dtype.ts';
import { scalarToJsonText } from '../types/scalar.ts';
import type { Metrics } from './metrics.ts';
import type { ServiceProgram } from './service_program.ts';
import type { Vectors } from './vector.ts';

/** What is answered: outputs of a program, under names. */
export interface Columns {
  readonly outputs: readonly number[];
  /** `"name":`, as it stands in an object. */
  readonly labels: readonly string[];
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
  return {
    outputs: positions,
    labels: names.map((name) => `${JSON.stringify(name)}:`),
    dtypes: positions.map((position) => outputs[position]!.dtype),
  };
}

/** Three JSON texts of one shape. */
export interface Texts {
  readonly values: string;
  readonly statuses: string;
  readonly eventTimes: string;
}

/** One row as three JSON objects by name. */
export function rowTexts(
  vectors: Vectors,
  row: number,
  { outputs, labels, dtypes }: Columns,
  metrics: Metrics,
): Texts {
  let values = '{';
  let statuses = '{';
  let eventTimes = '{';
  // Neighbours mostly come from one page and so have one event time.
  let lastUs: number | null = null;
  let lastText = 'null';
  for (let i = 0; i < outputs.length; i++) {
    const output = outputs[i]!;
    const label = labels[i]!;
    const status = vectors.status(row, output);
    const us = vectors.eventTimeUs(row, output);
    if (us !== lastUs) {
      lastUs = us;
      lastText = us === null ? 'null' : `"${formatInstant(us)}"`;
    }
    metrics.value(status);
    if (i > 0) {
      values += ',';
      statuses += ',';
      eventTimes += ',';
    }
    values += label + scalarToJsonText(vectors.value(row, output), dtypes[i]!);
    statuses += `${label}"${status}"`;
    eventTimes += label + lastText;
  }
  return { values: `${values}}`, statuses: `${statuses}}`, eventTimes: `${eventTimes}}` };
}

/** All rows as three JSON objects by name, each of an array with one item for each row. */
export function columnTexts(
  vectors: Vectors,
  { outputs, labels, dtypes }: Columns,
  metrics: Metrics,
): Texts {
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
      metrics.value(status);
      texts.value[row] = scalarToJsonText(vectors.value(row, output), dtypes[i]!);
      texts.status[row] = `"${status}"`;
      texts.time[row] = us === null ? 'null' : `"${formatInstant(us)}"`;
    }
    values.push(`${labels[i]!}[${texts.value.join()}]`);
    statuses.push(`${labels[i]!}[${texts.status.join()}]`);
    eventTimes.push(`${labels[i]!}[${texts.time.join()}]`);
  }
  return {
    values: `{${values.join()}}`,
    statuses: `{${statuses.join()}}`,
    eventTimes: `{${eventTimes.join()}}`,
  };
}
