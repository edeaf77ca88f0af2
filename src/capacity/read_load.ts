/** A load as people write it: counts such as 100M, rates by second, durations. */
import Type from 'typebox';
import { parseDuration } from '../base/duration.ts';
import type { Load } from './load.ts';
import { yamlReader } from './yaml_file.ts';

const strict = { additionalProperties: false };
const optional = Type.Optional;

/** A count: 1000000, or 1M. */
export const Count = Type.Union(
  [Type.Number({ minimum: 0 }), Type.String({ pattern: '^[0-9]+(\\.[0-9]+)?[kMBT]?$' })],
  {
    description: 'a number, also with k, M, B or T for thousands, millions, billions or trillions',
  },
);
/** A duration. */
export const Duration = Type.String({
  pattern: '^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$',
  description: 'a number and one of ms, s, m, h, d: 500ms, 30s, 5m, 1h, 7d',
});
const Columns = Type.Record(
  Type.String(),
  Type.Object(
    {
      bytes: optional(Type.Integer({ minimum: 1, description: 'typical length of a text' })),
      distinct: optional(Count),
      nulls: optional(Type.Number({ minimum: 0, maximum: 1, description: 'a share, from 0 to 1' })),
    },
    strict,
  ),
);
/** Zipf's exponent. */
export const Skew = Type.Number({
  minimum: 0,
  maximum: 2,
  description:
    'Zipf’s exponent: 0 where all are equally active, about 1 where few make most events',
});

const LoadFile = Type.Object(
  {
    history: optional(Duration),
    entities: Type.Record(
      Type.String(),
      Type.Object({ count: Count, skew: optional(Skew) }, strict),
      { description: 'by name: count, skew' },
    ),
    sources: Type.Record(
      Type.String(),
      Type.Object(
        {
          rate: optional(Count),
          rows: optional(Count),
          streamed: optional(Type.Boolean({ description: 'true or false' })),
          columns: optional(Columns),
        },
        strict,
      ),
      { description: 'by name: rate (events a second), rows, streamed, columns' },
    ),
    services: optional(
      Type.Record(Type.String(), Type.Object({ rate: Count, entities: optional(Count) }, strict), {
        description: 'by name: rate (requests a second), entities (of one request)',
      }),
    ),
  },
  { ...strict, description: 'entities, sources, services and history' },
);
const read = yamlReader('capacity', LoadFile);

/** The load that a file's text says. Throws `capacity/not-yaml` and `capacity/bad-field` with the line. */
export function readLoad(text: string, file: string): Load {
  const { value } = read(text, file);
  return {
    historyUs: parseDuration(value.history ?? '365d'),
    entities: mapped(value.entities, ({ count, skew }) => ({
      count: countOf(count),
      skew: skew ?? 0,
    })),
    sources: mapped(value.sources, ({ rate, rows, streamed, columns }) => ({
      perSecond: countOf(rate ?? 0),
      rows: rows === undefined ? null : countOf(rows),
      streamed: streamed ?? true,
      columns: mapped(columns ?? {}, ({ distinct, ...column }) =>
        distinct === undefined ? column : { ...column, distinct: countOf(distinct) },
      ),
    })),
    services: mapped(value.services ?? {}, ({ rate, entities }) => ({
      perSecond: countOf(rate),
      entities: countOf(entities ?? 1),
    })),
  };
}

function mapped<From, To>(record: Readonly<Record<string, From>>, to: (from: From) => To) {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, to(value)]));
}

const UNITS: Record<string, number> = { k: 1e3, M: 1e6, B: 1e9, T: 1e12 };

/** 100M → 100,000,000. */
export function countOf(count: number | string): number {
  if (typeof count === 'number') return count;
  const unit = UNITS[count.at(-1)!];
  return unit === undefined ? Number(count) : Math.round(Number(count.slice(0, -1)) * unit);
}
