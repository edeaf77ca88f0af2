/**
 * Reading as Feast's feature server has it: features by `view:feature` or all of a service's, entities column by column, and the
 * answer column by column, keys first.
 */
import { nearest, SamewiseError } from '../base/errors.ts';
import { formatInstant, type InstantUs } from '../base/time.ts';
import { findView, membersFor, parseRef } from '../model/index.ts';
import type { MaybePromise } from '../online/contract.ts';
import { plainScalar, scalarFromJson } from '../types/json.ts';
import type { Scalar } from '../types/scalar.ts';
import type { Question } from './ask.ts';
import { MAX_FEATURES_ASKED } from './asked.ts';
import type { Context } from './context.ts';
import type { Revision } from './definitions.ts';
import { FeastRefusal } from './feast_refusal.ts';
import type { FeastReadBody } from './feast_schemas.ts';
import { feastTexts, fromFeast, toFeast } from './feast_values.ts';
import { compileMembers, type ServiceProgram } from './service_program.ts';
import type { RequestRow, Vectors } from './vector.ts';

export const FEAST_READ_PATH = '/get-online-features';

/** What is answered, and the vectors that it says. */
export interface FeastAnswer {
  readonly text: string;
  readonly vectors: Vectors;
}

/** The answer to a request, at once where reading ends at once. Throws or rejects as resolving and reading do. */
export function readFeast(
  { ask }: Pick<Context, 'ask'>,
  revision: Revision,
  body: FeastReadBody,
  readUs: InstantUs,
  terms: Pick<Question, 'untilMs' | 'requestId' | 'chosen'>,
): MaybePromise<FeastAnswer> {
  const asked = feastAsked(revision, body);
  const rows = feastRows(asked, body.entities);
  const { program } = asked;
  const write = (vectors: Vectors) => ({ text: feastText(asked, rows, vectors), vectors });
  const vectors = ask.vectors({ revision, program, rows, readUs, ...terms });
  return vectors instanceof Promise ? vectors.then(write) : write(vectors);
}

/** What is asked of every entity, and how the answer calls it. */
interface FeastAsked {
  readonly program: ServiceProgram;
  /** Of the keys, then of each output of the program, as a JSON array. */
  readonly names: string;
}

/** By revision, so that nothing is kept of what is no longer registered. */
const askedBefore = new WeakMap<Revision, Map<string, FeastAsked>>();
/** Clients ask the same few lists again and again; whoever does not must not fill the memory. */
const MAX_KEPT_LISTS = 1000;

/**
 * Resolves a service or a list of features. Throws what Feast's clients raise for a view or a service that does not exist and for
 * two columns of one name, and `serving/…` for what they have no name for.
 */
function feastAsked(revision: Revision, body: FeastReadBody): FeastAsked {
  const { feature_service: service, features = [], full_feature_names: full = false } = body;
  let known = askedBefore.get(revision);
  if (known === undefined) askedBefore.set(revision, (known = new Map()));
  const isService = service !== undefined && service !== null;
  // No feature that exists has a comma in its name, so that no other list of as many has this text.
  const key = isService ? `${full} of ${service}` : `${full} ${features.length} ${features.join()}`;
  let asked = known.get(key);
  if (asked === undefined) {
    asked = isService ? ofService(revision, service, full) : ofFeatures(revision, features, full);
    if (known.size >= MAX_KEPT_LISTS) known.clear();
    known.set(key, asked);
  }
  return asked;
}

function ofService(revision: Revision, name: string, full: boolean): FeastAsked {
  const [bare] = name.split('@');
  const isKnown = Object.hasOwn(revision.catalog.featureServices, bare!);
  if (!isKnown) {
    throw new FeastRefusal(
      404,
      'FeatureServiceNotFoundException',
      `Feature service ${name} does not exist`,
    );
  }
  const { program } = revision.service(name);
  const names = program.plan.outputs.map(({ name, ref }) => (full ? fullName(name, ref) : name));
  return { program, names: namesText(program, names) };
}

function namesText({ inputs, keyCount }: ServiceProgram, outputs: readonly string[]): string {
  return JSON.stringify([...inputs.slice(0, keyCount).map(({ name }) => name), ...outputs]);
}

/** A service may call a use of a view by another name, which then stands for the view's. */
function fullName(name: string, ref: string): string {
  const { view, feature } = parseRef(ref);
  const used = name === feature ? view : name.slice(0, -feature.length - 1);
  return `${used}__${feature}`;
}

function ofFeatures({ catalog }: Revision, features: readonly string[], full: boolean): FeastAsked {
  if (features.length === 0) {
    throw new SamewiseError('serving/missing-field', 'no features are asked for', {
      where: { field: 'features' },
      hint: 'give features as view:feature, or a feature_service',
    });
  }
  if (features.length > MAX_FEATURES_ASKED) {
    throw new SamewiseError(
      'serving/too-many-features',
      `${features.length} features asked; at most ${MAX_FEATURES_ASKED} in one request`,
      { where: { field: 'features' } },
    );
  }
  for (const ref of features) {
    const { view: viewName, feature } = parseRef(ref);
    const view = findView(catalog, viewName);
    if (view === undefined) {
      throw new FeastRefusal(
        404,
        'FeatureViewNotFoundException',
        `Feature view ${viewName} does not exist`,
      );
    }
    const names = view.features.map(({ name }) => name);
    if (!names.includes(feature)) {
      const near = nearest(feature, names);
      throw new FeastRefusal(
        404,
        'FeastObjectNotFoundException',
        `Feature ${feature} not found in projection ${viewName}${near === undefined ? '' : `; did you mean ${near}?`}`,
      );
    }
  }
  const names = features.map((ref) => (full ? ref.replace(':', '__') : ref.split(':')[1]!));
  refuseCollisions(names, full);
  // Under the view's own name no two features clash.
  const members = membersFor(catalog, features).map((member) => ({
    ...member,
    as: `${member.view}_`,
  }));
  const program = compileMembers(catalog, members);
  return { program, names: namesText(program, names) };
}

function refuseCollisions(names: readonly string[], full: boolean): void {
  const seen = new Set<string>();
  const twice = new Set(names.filter((name) => seen.size === seen.add(name).size));
  if (twice.size === 0) return;
  throw new FeastRefusal(
    400,
    'FeatureNameCollisionError',
    `Duplicate features named ${[...twice].join(', ')} found. ${
      full
        ? 'Ask for each of them once.'
        : 'To resolve this collision, either use the full feature name by setting ‘full_feature_names=True’, or ensure that the features in question have different names.'
    }`,
  );
}

/** The entities of a request, row by row. Columns that nothing asks for are passed over, as Feast does. */
function feastRows({ program }: FeastAsked, entities: FeastReadBody['entities']): RequestRow[] {
  const { inputs, keyCount } = program;
  const given = inputs.map(({ name }) =>
    Object.hasOwn(entities, name) ? entities[name] : undefined,
  );
  const lacking = inputs.filter((_, i) => given[i] === undefined).map(({ name }) => name);
  const keys = lacking.filter(
    (name) => inputs.findIndex((input) => input.name === name) < keyCount,
  );
  if (keys.length > 0) {
    throw new SamewiseError(
      'serving/missing-field',
      `Missing join key values for keys: ${keys.join(', ')}`,
      { where: { field: `entities.${keys[0]}` }, hint: 'null where a key is not known' },
    );
  }
  if (lacking.length > 0) {
    const names = lacking.map((name) => `'${name}'`).join(', ');
    throw new FeastRefusal(
      404,
      'RequestDataNotFoundInEntityRowsException',
      `Required request data source features [${names}] not found in the entity rows, but required by feature views`,
    );
  }
  const rows = given[0]?.length ?? 0;
  const uneven = given.findIndex((values) => values!.length !== rows);
  if (uneven >= 0) {
    throw new SamewiseError(
      'serving/bad-field',
      `${inputs[uneven]!.name} has ${given[uneven]!.length} values and ${inputs[0]!.name} has ${rows}: all entity rows must have the same columns`,
      { where: { field: `entities.${inputs[uneven]!.name}` } },
    );
  }
  return Array.from({ length: rows }, (_, row) =>
    inputs.map(({ name, dtype }, i): Scalar | null => {
      const value = given[i]![row];
      const plain = plainScalar(value, dtype);
      if (plain !== undefined) return plain;
      const where = { field: `entities.${name}[${row}]` };
      return scalarFromJson(fromFeast(value, dtype), dtype, where);
    }),
  );
}

/** What Feast calls a status; what stands in for a value is a value to it. */
const FEAST_STATUS: Readonly<Record<string, string>> = {
  NULL_VALUE: '"NULL_VALUE"',
  NOT_FOUND: '"NOT_FOUND"',
  OUTSIDE_MAX_AGE: '"OUTSIDE_MAX_AGE"',
  STALE: '"OUTSIDE_MAX_AGE"',
  TIMED_OUT: '"NULL_VALUE"',
};
const PRESENT = '"PRESENT"';
/** What Feast says of the time of keys, of what is computed, and of what is not there. */
const NO_TIME = '"1970-01-01T00:00:00Z"';

/** The answer. */
function feastText({ names }: FeastAsked, rows: readonly RequestRow[], vectors: Vectors): string {
  const { program } = vectors;
  const keys = program.inputs.slice(0, program.keyCount);
  const present = repeated(PRESENT, rows.length);
  const noTimes = repeated(NO_TIME, rows.length);
  const columns = keys.map(({ dtype }, i) =>
    columnText(rows.map((row) => toFeast(row[i]!, dtype)).join(), present, noTimes),
  );
  /** By look-up: all of its outputs are of the same events. */
  const times = new Map<number, string>([[-1, noTimes]]);
  const whole = vectors.areWhole();
  program.plan.outputs.forEach(({ dtype }, output) => {
    const { lookup, index } = program.sources[output]!;
    const text = feastTexts(dtype);
    let values = '';
    let statuses = '';
    if (whole) {
      const pages = vectors.pagesOf(lookup);
      for (let row = 0; row < pages.length; row++)
        values += (row > 0 ? ',' : '') + text(pages[row]!.values[index]!);
    } else
      for (let row = 0; row < rows.length; row++) {
        const comma = row > 0 ? ',' : '';
        values += comma + text(vectors.value(row, output));
        statuses += comma + (FEAST_STATUS[vectors.status(row, output)] ?? PRESENT);
      }
    let time = times.get(lookup);
    if (time === undefined) times.set(lookup, (time = timesText(vectors, output)));
    columns.push(columnText(values, whole ? present : statuses, time));
  });
  const partial = vectors.partial ? ',"partial":true' : '';
  return `{"results":[${columns.join()}],"metadata":{"feature_names":${names}}${partial}}`;
}

function columnText(values: string, statuses: string, times: string): string {
  return `{"values":[${values}],"statuses":[${statuses}],"event_timestamps":[${times}]}`;
}

function timesText(vectors: Vectors, output: number): string {
  let times = '';
  for (let row = 0; row < vectors.rows; row++) {
    const us = vectors.eventTimeUs(row, output);
    times += (row > 0 ? ',' : '') + (us === null ? NO_TIME : `"${formatInstant(us)}"`);
  }
  return times;
}

function repeated(text: string, times: number): string {
  return times === 0 ? '' : `${text},`.repeat(times - 1) + text;
}
