/** A feature that is defined over HTTP by a query: what it becomes in the terms of the model. */

import { LIFETIME } from '../aggregate/window.ts';
import { SamewiseError } from '../base/errors.ts';
import type { Catalog, Entity, Feature, FeatureView, Source } from '../model/definitions.ts';
import { DEFAULT_STREAM } from '../model/index.ts';
import { type Dtype, parseDtype, timestamp } from '../types/dtype.ts';
import { sqlType } from '../types/sql.ts';

export interface SqlFeatureRequest {
  readonly name: string;
  readonly entity: string;
  readonly dtype: string;
  readonly description: string;
  readonly source: { readonly type: 'batch'; readonly query: string };
  readonly owner: string;
}

/** Says which views and sources were made over HTTP; only those may be changed over HTTP. */
export const DEFINED_BY = { defined_by: 'http' } as const;

/** Types as other feature stores call them. */
const ALIASES: Readonly<Record<string, string>> = {
  float: 'float64',
  double: 'float64',
  int: 'int64',
  integer: 'int64',
  long: 'int64',
  bigint: 'int64',
  boolean: 'bool',
  str: 'string',
  text: 'string',
  varchar: 'string',
};

/** Event time of rows from a query without `event_timestamp`: they hold since ever. */
const SINCE_EVER = "TIMESTAMP '1970-01-01'";

/**
 * The source and the latest-value view of a feature `name` of `entity`: view `name`, source `name_query`.
 *
 * The query has to give the entity's key columns and a column called `name` or `value`. Where it gives `event_timestamp`,
 * a read at T sees the newest row before T; where it gives none, its rows hold since 1970-01-01. Rows repeated by a later
 * run of the query are one event, as for any source without an event id.
 */
export function sqlFeature(
  request: SqlFeatureRequest,
  entity: Entity,
): { source: Source; view: FeatureView } {
  const dtype = parseDtype(ALIASES[request.dtype.toLowerCase()] ?? request.dtype);
  const { name, description, owner } = request;
  const described = { name, description, owner, tags: DEFINED_BY };
  const source: Source = {
    ...described,
    kind: 'source',
    name: `${name}_query`,
    columns: [...entity.key, { name: EVENT_TIME, dtype: timestamp }, { name, dtype }],
    eventTime: EVENT_TIME,
    eventId: null,
    lookups: [],
    arrivalTime: null,
    op: null,
    mutable: false,
    latenessUs: 0,
    batch: { type: 'query', sql: wrapped(request, entity, dtype) },
    stream: DEFAULT_STREAM,
  };
  const feature: Feature = {
    name,
    description,
    tags: {},
    dtype,
    aggregate: { fn: 'latest', params: {} },
    input: { kind: 'column', name },
    window: LIFETIME,
    default: null,
    freshnessUs: null,
  };
  const view: FeatureView = {
    ...described,
    kind: 'featureView',
    entity: entity.name,
    source: source.name,
    keys: entity.key.map((column) => column.name),
    where: null,
    features: [feature],
    freshnessUs: null,
    retentionUs: null,
  };
  return { source, view };
}

const EVENT_TIME = 'event_timestamp';

/**
 * The user's query with the columns that it may leave out. UNION ALL BY NAME with no rows adds those that are missing as
 * nulls, whatever the query gives.
 */
function wrapped({ name, source }: SqlFeatureRequest, entity: Entity, dtype: Dtype): string {
  const query = source.query.trim().replace(/;+$/, '').trimEnd();
  const keys = entity.key.map((column) => quoted(column.name)).join(', ');
  const value = quoted(name);
  const type = sqlType(dtype);
  return [
    `SELECT ${keys}, coalesce(${EVENT_TIME}, ${SINCE_EVER}) AS ${EVENT_TIME},`,
    `  ${name === 'value' ? value : `coalesce(${value}, "value")`} AS ${value}`,
    // The query keeps lines of its own, so that a comment at its end hides nothing of ours.
    'FROM (FROM (',
    query,
    `) UNION ALL BY NAME SELECT NULL::TIMESTAMP AS ${EVENT_TIME}, NULL::${type} AS ${value}${name === 'value' ? '' : `, NULL::${type} AS "value"`} WHERE false)`,
  ].join('\n');
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Refuses a name under which something lies that was not defined over HTTP. Throws `serving/name-taken`. */
export function refuseTaken(
  catalog: Catalog,
  { source, view }: { source: Source; view: FeatureView },
): void {
  const before = [
    catalog.featureViews[view.name],
    catalog.onDemandViews[view.name],
    catalog.sources[source.name],
  ];
  for (const definition of before) {
    if (definition === undefined || definition.tags.defined_by === DEFINED_BY.defined_by) continue;
    throw new SamewiseError(
      'serving/name-taken',
      `${JSON.stringify(definition.name)} is already defined by the project`,
      {
        where: { field: 'name' },
        hint: 'choose another name, or change the definition in the project',
      },
    );
  }
}
