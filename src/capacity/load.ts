/** What a prediction is told of the world: how many entities there are, how often events come, how often features are asked for. */
import { nearest, SamewiseError } from '../base/errors.ts';
import type { DurationUs } from '../base/time.ts';
import { type Catalog, entityOf, type FeatureView, type Source } from '../model/index.ts';

/** How many there are of an entity, and how unevenly events fall on them. */
export interface EntityLoad {
  readonly count: number;
  /** Zipf's exponent: 0 gives each the same share of the events; at 1 the r-th most active has 1/r of what the first has. */
  readonly skew: number;
}

export interface SourceLoad {
  /** Events a second, on average: of a table under change its changes. */
  readonly perSecond: number;
  /** Of a table under change: how many rows it has. */
  readonly rows: number | null;
  /** Whether events come by the log, which stamps arrival and keeps positions in pages; else by `materialize` alone. */
  readonly streamed: boolean;
  /** Of columns whose values have no fixed size or repeat: typical length, and how many different values there are. */
  readonly columns: Readonly<Record<string, ColumnLoad>>;
}

export interface ColumnLoad {
  readonly bytes?: number;
  readonly distinct?: number;
  /** Share of rows in which it is null. */
  readonly nulls?: number;
}

export interface ServiceLoad {
  readonly perSecond: number;
  /** Entities in one request. */
  readonly entities: number;
}

export interface Load {
  /** How long events have been coming: what views without retention keep. */
  readonly historyUs: DurationUs;
  readonly entities: Readonly<Record<string, EntityLoad>>;
  readonly sources: Readonly<Record<string, SourceLoad>>;
  readonly services: Readonly<Record<string, ServiceLoad>>;
}

/** Throws `capacity/unknown-name` for what is not defined, and `capacity/missing-load` for what a prediction needs. */
export function checkLoad(catalog: Catalog, load: Load): void {
  known('entities', load.entities, catalog.entities);
  known('sources', load.sources, catalog.sources);
  known('services', load.services, catalog.featureServices);
  for (const view of Object.values(catalog.featureViews)) {
    entityLoadOf(catalog, load, view);
    sourceLoadOf(catalog, load, view);
  }
}

function known(field: string, given: object, defined: object): void {
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(defined, name)) continue;
    const meant = nearest(name, Object.keys(defined));
    throw new SamewiseError('capacity/unknown-name', `nothing called ${name} is defined`, {
      where: { field: `${field}.${name}` },
      hint:
        meant === undefined
          ? `there are: ${Object.keys(defined).join(', ') || 'none'}`
          : `did you mean "${meant}"?`,
    });
  }
}

export function entityLoadOf(catalog: Catalog, load: Load, view: FeatureView): EntityLoad {
  const { name } = entityOf(catalog, view.entity);
  return load.entities[name] ?? missing(`entities.${name}`, `count: 1000000`, view);
}

export function sourceLoadOf(catalog: Catalog, load: Load, view: FeatureView): SourceLoad {
  const source = catalog.sources[view.source]!;
  const given = load.sources[source.name] ?? missing(`sources.${source.name}`, 'rate: 100', view);
  if (source.mutable && given.rows === null)
    missing(`sources.${source.name}.rows`, 'rows: 1000000', view);
  return given;
}

function missing(field: string, example: string, { name }: FeatureView): never {
  throw new SamewiseError('capacity/missing-load', `the view ${name} needs it`, {
    where: { field },
    hint: `write it as: ${example}`,
  });
}

/** Whether rows of the source carry a time of arrival of their own. */
export function carriesArrival(source: Source, { streamed }: SourceLoad): boolean {
  return streamed || source.arrivalTime !== null;
}
