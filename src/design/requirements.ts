/** What a design is made from: the features that are wanted, how they are served and trained on, and where their data comes from. */
import Type, { type Static } from 'typebox';
import { parseDuration } from '../base/duration.ts';
import { nearest, type SamewiseError } from '../base/errors.ts';
import { type YamlFile, yamlReader } from '../capacity/index.ts';
import { Count, countOf, Duration, Skew } from '../capacity/read_load.ts';
import { parseDtype } from '../types/dtype.ts';
import { SYSTEMS } from './systems.ts';

const strict = { additionalProperties: false };
const optional = Type.Optional;
const Name = Type.String({
  pattern: '^[a-z][a-z0-9_]{0,63}$',
  description: 'a name: small letters, digits and underscores, beginning with a letter',
});
const named = <T extends Type.TSchema>(value: T, description: string) =>
  Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' }), value, {
    additionalProperties: false,
    description,
  });
const choice = <const T extends readonly string[]>(values: T) =>
  Type.Unsafe<T[number]>({
    type: 'string',
    enum: [...values],
    description: `one of ${values.join(', ')}`,
  });
const Columns = named(
  Type.String({ description: 'a type, such as int64, float64, string, timestamp, vector(128)' }),
  'columns with their types',
);

/** What a group of features is, which decides how they are kept and computed. */
const KINDS = ['stream', 'daily', 'attributes', 'embedding'] as const;
export type Kind = (typeof KINDS)[number];

const Entity = Type.Object(
  { key: Columns, count: Count, skew: optional(Skew), description: optional(Type.String()) },
  strict,
);
const Source = Type.Object(
  {
    from: choice(Object.keys(SYSTEMS) as (keyof typeof SYSTEMS)[]),
    /** Topic, stream, table or path there. */
    name: Type.String({ minLength: 1, description: 'topic, stream, table or path there' }),
    columns: Columns,
    time: Name,
    id: optional(Name),
    rate: Count,
    rows: optional(Count),
    lateness: optional(Duration),
    history: optional(choice(Object.keys(SYSTEMS) as (keyof typeof SYSTEMS)[])),
    values: optional(
      named(
        Type.Object(
          { bytes: optional(Type.Integer({ minimum: 1 })), distinct: optional(Count) },
          strict,
        ),
        'by column: bytes, distinct',
      ),
    ),
    description: optional(Type.String()),
  },
  strict,
);
const Features = Type.Object(
  {
    kind: choice(KINDS),
    entity: Name,
    source: Name,
    freshness: Duration,
    aggregates: optional(
      Type.Array(
        Type.String({
          pattern:
            '^(count|(sum|avg|min|max|stddev|last|distinct_count|approx_distinct)\\([a-z][a-z0-9_]*\\))$',
          description:
            'count, or sum, avg, min, max, stddev, last, distinct_count or approx_distinct of a column',
        }),
        { minItems: 1 },
      ),
    ),
    windows: optional(Type.Array(Duration, { minItems: 1 })),
    columns: optional(Type.Array(Name, { minItems: 1 })),
    description: optional(Type.String()),
  },
  strict,
);
const Context = Type.Object(
  {
    request: Columns,
    ratios: named(
      Type.Object(
        {
          of: Name,
          to: Type.String({ pattern: '^[a-z0-9_]+\\.[a-z0-9_]+$', description: 'view.feature' }),
        },
        strict,
      ),
      'by name of the feature: of (a column of the request), to (view.feature)',
    ),
  },
  strict,
);

const RequirementsFile = Type.Object(
  {
    name: Name,
    title: Type.String({ minLength: 1 }),
    owner: Name,
    entities: named(Entity, 'by name: key, count, skew'),
    sources: named(Source, 'by name: from, name, columns, time, id, rate'),
    features: named(Features, 'by name of the view: kind, entity, source, freshness'),
    context: optional(Context),
    history: Duration,
    serving: Type.Object(
      {
        requests: Count,
        p99: Duration,
        entities: optional(Count),
        availability: optional(Type.Number({ minimum: 90, maximum: 100, description: 'percent' })),
      },
      strict,
    ),
    training: Type.Object({ every: Duration, within: Duration, bytes: Count }, strict),
    governance: optional(
      Type.Object({ versioning: choice(['strict', 'relaxed']), lineage: Type.Boolean() }, strict),
    ),
  },
  {
    ...strict,
    description: 'name, title, owner, entities, sources, features, history, serving, training',
  },
);

export type Requirements = Static<typeof RequirementsFile>;
export type FeatureGroup = Static<typeof Features>;
export type SourceRequirement = Static<typeof Source>;

const read = yamlReader('design', RequirementsFile);

/**
 * The requirements that a file's text states. Throws `design/not-yaml`, `design/bad-field`, `design/unknown-name` and
 * `design/contradiction` with the line and the field.
 */
export function readRequirements(text: string, file: string): Requirements {
  const found = read(text, file);
  checkNames(found);
  return found.value;
}

function checkNames(found: YamlFile<Requirements>): void {
  const { value } = found;
  const refuse = (path: readonly string[], message: string, hint: string): SamewiseError =>
    found.error('contradiction', path, message, hint);
  const known = (path: readonly string[], name: string, among: object): void => {
    if (Object.hasOwn(among, name)) return;
    const names = Object.keys(among);
    const meant = nearest(name, names);
    throw found.error(
      'unknown-name',
      path,
      `there is no ${name}`,
      meant === undefined ? `there are: ${names.join(', ')}` : `did you mean "${meant}"?`,
    );
  };
  const typed = (path: readonly string[], columns: Readonly<Record<string, string>>): void => {
    for (const [column, type] of Object.entries(columns)) {
      try {
        parseDtype(type);
      } catch (cause) {
        const { message, hint } = cause as SamewiseError;
        throw found.error('bad-field', [...path, column], message, hint ?? '');
      }
    }
  };
  for (const [name, entity] of Object.entries(value.entities))
    typed(['entities', name, 'key'], entity.key);
  for (const [name, source] of Object.entries(value.sources)) {
    const path = ['sources', name];
    typed([...path, 'columns'], source.columns);
    known([...path, 'time'], source.time, source.columns);
    if (source.id !== undefined) known([...path, 'id'], source.id, source.columns);
    for (const column of Object.keys(source.values ?? {}))
      known([...path, 'values', column], column, source.columns);
    if (SYSTEMS[source.from].way !== 'changes') continue;
    if (source.id === undefined || source.rows === undefined)
      throw refuse(
        path,
        'a table under change needs id and rows',
        'say its primary key and how many rows it has',
      );
  }
  for (const [name, group] of Object.entries(value.features)) {
    const path = ['features', name];
    known([...path, 'entity'], group.entity, value.entities);
    known([...path, 'source'], group.source, value.sources);
    const source = value.sources[group.source]!;
    for (const key of Object.keys(value.entities[group.entity]!.key))
      known([...path, 'source'], key, source.columns);
    const windowed = group.kind === 'stream' || group.kind === 'daily';
    const wanted = windowed ? ['aggregates', 'windows'] : ['columns'];
    for (const field of ['aggregates', 'windows', 'columns'] as const)
      if (wanted.includes(field) !== (group[field] !== undefined))
        throw refuse(
          [...path, ...(group[field] === undefined ? [] : [field])],
          `${group.kind} features have ${wanted.join(' and ')}`,
          wanted.includes(field) ? `add ${field}` : `remove ${field}, or choose another kind`,
        );
    for (const column of [
      ...(group.columns ?? []),
      ...(group.aggregates ?? []).flatMap((text) => columnOf(text) ?? []),
    ])
      known([...path, windowed ? 'aggregates' : 'columns'], column, source.columns);
    if (group.kind === 'daily')
      for (const window of group.windows!)
        if (parseDuration(window) % parseDuration('1d') !== 0)
          throw refuse(
            [...path, 'windows'],
            `${window} is not a whole number of days`,
            'daily features have windows of days',
          );
  }
  for (const [name, { of, to }] of Object.entries(value.context?.ratios ?? {})) {
    const path = ['context', 'ratios', name];
    typed(['context', 'request'], value.context!.request);
    known([...path, 'of'], of, value.context!.request);
    const [view, feature] = to.split('.') as [string, string];
    known([...path, 'to'], view, value.features);
    known(
      [...path, 'to'],
      feature,
      Object.fromEntries(featureNames(value.features[view]!).map((n) => [n, true])),
    );
  }
  if (parseDuration(value.training.within) > parseDuration(value.training.every))
    throw refuse(
      ['training', 'within'],
      'a run takes longer than the time between two',
      'make it shorter',
    );
}

/** The column that an aggregate is of; null for count. */
export function columnOf(aggregate: string): string | null {
  return /\((.+)\)/.exec(aggregate)?.[1] ?? null;
}

/** Names of the features of a group, in its order. */
export function featureNames(group: FeatureGroup): string[] {
  if (group.columns !== undefined) return [...group.columns];
  return group.windows!.flatMap((window) =>
    group.aggregates!.map((text) => {
      const column = columnOf(text);
      const fn = text.replace(/\(.*/, '');
      return column === null ? `${fn}_${window}` : `${fn}_${column}_${window}`;
    }),
  );
}

export { countOf };
