/** Validation of feature views: references, keys, the types of every feature, its window, retention. */
import { aggregateFor, completeSpec } from '../aggregate/index.ts';
import type { Window } from '../aggregate/window.ts';
import { formatDuration } from '../base/duration.ts';
import { SamewiseError, type Where } from '../base/errors.ts';
import { canonicalJson } from '../base/hash.ts';
import { type DurationUs, US_PER_DAY, US_PER_HOUR } from '../base/time.ts';
import { typeOf } from '../expr/index.ts';
import type { Expr } from '../expr/ir.ts';
import type { Schema } from '../types/batch.ts';
import { type Dtype, printDtype, sameDtype } from '../types/dtype.ts';
import { coerce } from '../types/scalar.ts';
import { entityOf, sourceOf, suggestion } from './catalog.ts';
import type { Catalog, Entity, Feature, FeatureView, Source } from './definitions.ts';
import { MAX_FEATURES, MAX_OVER_LAST } from './limits.ts';
import type { Problems } from './problems.ts';
import { rowSchemaOf } from './source_columns.ts';
import { checkFeatureNames } from './validate_names.ts';

export function checkFeatureView(problems: Problems, view: FeatureView, catalog: Catalog): void {
  const where = { view: view.name };
  const entity = problems.attempt({ ...where, field: 'entity' }, () =>
    entityOf(catalog, view.entity),
  );
  const source = problems.attempt({ ...where, field: 'source' }, () =>
    sourceOf(catalog, view.source),
  );
  checkFeatureNames(problems, view.features, where, MAX_FEATURES);
  if (source === undefined) return;
  const columns = rowSchemaOf(source);
  if (entity !== undefined) {
    const at = { ...where, field: 'keys' };
    checkKeys(
      problems,
      view.keys,
      entity,
      columns,
      source.name,
      at,
      (part) => `keys: { ${part}: "…" }`,
    );
  }
  checkFilter(problems, view, columns);
  for (const feature of view.features) {
    const place = { ...where, feature: feature.name };
    problems.attempt(place, () => checkFeatureType(feature, columns));
    checkWindow(problems, feature.window, place);
    problems.attempt({ ...place, field: 'default' }, () => coerce(feature.default, feature.dtype));
  }
  if (view.retentionUs !== null) checkRetention(problems, view, source);
  const { onlineForUs } = view;
  if (onlineForUs !== undefined && !(Number.isSafeInteger(onlineForUs) && onlineForUs > 0))
    problems.add('model/bad-duration', `onlineFor ${onlineForUs} µs is not a duration`, {
      ...where,
      field: 'onlineFor',
    });
}

/** Whether `keys` names a column of the entity's type for each part of its key; `spelling` shows how a part is named. */
export function checkKeys(
  problems: Problems,
  keys: readonly string[],
  entity: Entity,
  columns: Schema,
  sourceName: string,
  where: Where,
  spelling: (part: string) => string,
): void {
  if (keys.length !== entity.key.length) {
    problems.add(
      'model/bad-keys',
      `${keys.length} key columns for the ${entity.key.length} of entity ${entity.name}`,
      where,
    );
    return;
  }
  entity.key.forEach((part, i) => {
    const name = keys[i]!;
    const column = columns.find((field) => field.name === name);
    if (column === undefined) {
      problems.add(
        'model/unknown-column',
        `the source ${sourceName} has no column ${JSON.stringify(name)} for the key ${entity.name}.${part.name}`,
        { ...where, column: name },
        `${suggestion(
          name,
          columns.map((field) => field.name),
        )} say which column holds the key: ${spelling(part.name)}`,
      );
    } else if (!sameDtype(column.dtype, part.dtype)) {
      problems.add(
        'model/bad-keys',
        `the key ${entity.name}.${part.name} is a ${printDtype(part.dtype)}, the column ${name} a ${printDtype(column.dtype)}`,
        { ...where, column: name },
        'declare both as the same type',
      );
    }
  });
}

function checkFilter(problems: Problems, view: FeatureView, columns: Schema): void {
  const { where: filter } = view;
  if (filter === null) return;
  const place = { view: view.name, field: 'where' };
  const dtype = problems.attempt(place, () => typeOf(filter, columns));
  if (dtype !== undefined && dtype.kind !== 'bool')
    problems.add('model/bad-filter', `where is a ${printDtype(dtype)}, not a bool`, place);
}

/** Throws the coded error of the expression's or the aggregate's check, `model/bad-dtype`, `model/incomplete-aggregate`. */
function checkFeatureType(feature: Feature, columns: Schema): void {
  const input = feature.input === null ? null : typeOf(feature.input, columns);
  const { fn, params } = feature.aggregate;
  checkDeclared(feature.dtype, aggregateFor(feature.aggregate, input).output);
  const complete = completeSpec(fn, params);
  if (canonicalJson(complete) !== canonicalJson(feature.aggregate)) {
    throw new SamewiseError(
      'model/incomplete-aggregate',
      `${fn} leaves parameters to their defaults, which are part of its meaning`,
      { hint: `write them out: ${JSON.stringify(complete.params)}` },
    );
  }
}

/** Throws `model/bad-dtype` unless a feature's declared type is what it computes. */
export function checkDeclared(declared: Dtype, computed: Dtype): void {
  if (sameDtype(declared, computed)) return;
  throw new SamewiseError(
    'model/bad-dtype',
    `declared as ${printDtype(declared)}, but it computes a ${printDtype(computed)}`,
  );
}

/** Throws unless `expr` is of the declared type over `columns`. */
export function checkExpr(expr: Expr, declared: Dtype, columns: Schema): void {
  checkDeclared(declared, typeOf(expr, columns));
}

function checkWindow(problems: Problems, window: Window, place: Where): void {
  const { sizeUs, delayUs, hopUs, sinceStartOf, last } = window;
  const where = { ...place, field: 'window' };
  const bad = (message: string, hint?: string) =>
    problems.add('model/bad-window', message, where, hint);
  const isDuration = (us: number) => Number.isSafeInteger(us) && us > 0;
  if (sizeUs !== null && !isDuration(sizeUs)) bad(`over(${sizeUs} µs) is not a duration`);
  if (delayUs !== 0 && !isDuration(delayUs)) bad(`delay(${delayUs} µs) is not a duration`);
  if (hopUs !== null && !isDuration(hopUs)) bad(`hop(${hopUs} µs) is not a duration`);
  else if (hopUs !== null) {
    const durations = [['over', sizeUs ?? 0] as const, ['delay', delayUs] as const];
    for (const [what, us] of durations) {
      if (us % hopUs !== 0) {
        bad(
          `${what}(${formatDuration(us)}) is not a multiple of hop(${formatDuration(hopUs)})`,
          'a hopping window moves in whole steps: choose a hop that divides both window and delay',
        );
      }
    }
  }
  if (sinceStartOf !== null && sizeUs !== null)
    bad('a window is either over a duration or since the start of a calendar unit, not both');
  if (last !== null && !(Number.isInteger(last) && last >= 1 && last <= MAX_OVER_LAST))
    bad(`overLast(${last}): a whole number from 1 to ${MAX_OVER_LAST} is needed`);
}

const LONGEST_UNIT_US = {
  hour: US_PER_HOUR,
  day: US_PER_DAY,
  week: 7 * US_PER_DAY,
  month: 31 * US_PER_DAY,
  year: 366 * US_PER_DAY,
};

/**
 * How far behind the read time a window may need raw events. A lifetime needs those up to its delay (what older ones come
 * to is kept in one partial); `overLast` without `over` may need any, ∞.
 */
export function rawSpanUs(window: Window): DurationUs {
  const { sizeUs, sinceStartOf, last } = window;
  const size =
    sinceStartOf !== null
      ? LONGEST_UNIT_US[sinceStartOf]
      : (sizeUs ?? (last === null ? 0 : Number.POSITIVE_INFINITY));
  return size + window.delayUs + (window.hopUs ?? 0);
}

function checkRetention(problems: Problems, view: FeatureView, source: Source): void {
  const kept = view.retentionUs!;
  if (!(Number.isSafeInteger(kept) && kept > 0)) {
    problems.add('model/bad-duration', `retention ${kept} µs is not a duration`, {
      view: view.name,
      field: 'retention',
    });
    return;
  }
  for (const feature of view.features) {
    const needed = rawSpanUs(feature.window) + source.latenessUs;
    if (kept >= needed) continue;
    const finite = Number.isFinite(needed);
    problems.add(
      'model/retention-too-short',
      finite
        ? `retention ${formatDuration(kept)} is shorter than the ${formatDuration(needed)} of its window, delay and lateness`
        : `with retention ${formatDuration(kept)} the newest ${feature.window.last} events may be gone`,
      { view: view.name, feature: feature.name, field: 'retention' },
      finite
        ? `keep at least ${formatDuration(needed)}, or leave retention out to keep everything`
        : 'say within which time: .over("30d"); or leave retention out to keep everything',
    );
  }
}
