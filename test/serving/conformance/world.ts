/** Features of every type and status, and the server that all clients are held to. */

import { parseInstant } from '../../../src/base/time.ts';
import type { Definition, Feature } from '../../../src/model/index.ts';
import {
  bool,
  bytes,
  type Dtype,
  date,
  float32,
  int32,
  list,
  vector,
} from '../../../src/types/dtype.ts';
import type { Scalar } from '../../../src/types/scalar.ts';
import {
  entity,
  feature,
  float64,
  int64,
  materialize,
  memoryOnline,
  over,
  serverOver,
  source,
  string,
  timestamp,
  view,
} from '../support.ts';

const TYPES: Record<string, Dtype> = {
  truth: bool,
  small: int32,
  whole: int64,
  single: float32,
  real: float64,
  text: string,
  blob: bytes,
  moment: timestamp,
  day: date,
  embedding: vector(3),
};
const column = (name: string) => ({ from: 'column', column: name }) as const;
const described = { description: '', owner: 'team', tags: {} };

const latest = (name: string, change: Partial<Feature> = {}): Feature => ({
  ...feature(name, TYPES[name]!, 'latest', name, over(null)),
  ...change,
});
const lastTwo = (name: string): Feature =>
  feature(`last_${name}`, list(TYPES[name]!), 'last_k', name, over(null), null, { k: 2 });

const things = { view: 'things', features: null, keys: [column('id'), column('kind')], as: null };
const kinds = { view: 'kinds', features: null, keys: [column('kind')], as: null };

export const DEFINITIONS: readonly Definition[] = [
  entity('thing', { id: int64, kind: string }),
  entity('kind', { kind: string }),
  source('facts', { thing: int64, kind: string, ...TYPES }),
  view('kinds', 'kind', ['kind'], 'facts', [latest('real', { name: 'real_of_kind' })]),
  view('things', 'thing', ['thing', 'kind'], 'facts', [
    ...Object.keys(TYPES).map((name) => latest(name)),
    ...Object.keys(TYPES)
      .filter((name) => name !== 'embedding')
      .map(lastTwo),
    feature('events', int64, 'count', null, over('1d')),
    { ...latest('text'), name: 'recent_text', window: over('2d') },
    { ...latest('whole'), name: 'whole_or_default', default: '9223372036854775807' },
    {
      ...latest('real'),
      name: 'real_or_of_kind',
      default: -1,
      fallbacks: [{ member: kinds, feature: 'real_of_kind' }],
    },
  ]),
  {
    ...described,
    kind: 'onDemandView',
    name: 'given',
    request: Object.entries(TYPES)
      .filter(([name]) => name !== 'embedding')
      .map(([name, dtype]) => ({ name: `r_${name}`, dtype })),
    uses: {},
    features: Object.entries(TYPES)
      .filter(([name]) => name !== 'embedding')
      .map(([name, dtype]) => ({
        name: `given_${name}`,
        description: '',
        tags: {},
        dtype,
        expr: { kind: 'column', name: `request.r_${name}` } as const,
        default: null,
      })),
  },
  { ...described, kind: 'featureService', name: 'all', model: 'model', members: [things] },
  {
    ...described,
    kind: 'featureService',
    name: 'asked',
    model: null,
    members: [
      { ...things, features: ['events'] },
      { view: 'given', features: null, keys: [], as: null },
    ],
  },
];

type Row = Readonly<Record<string, Scalar | null>>;

const fact = (id: bigint, at: string, thing: bigint, kind: string, rest: Row): Row => ({
  ...Object.fromEntries(Object.keys(TYPES).map((name) => [name, null])),
  id,
  at: parseInstant(at),
  thing,
  kind,
  ...rest,
});

const FACTS: readonly Row[] = [
  fact(1n, '2024-03-01T00:00:00.000001Z', 1n, 'a', {
    truth: false,
    small: -(2 ** 31),
    whole: -(2n ** 63n),
    single: Math.fround(0.1),
    real: Number.NEGATIVE_INFINITY,
    text: '',
    blob: new Uint8Array(0),
    moment: -1,
    day: -1,
    embedding: Float32Array.of(0, -1.5, Number.POSITIVE_INFINITY),
  }),
  fact(2n, '2024-03-09T12:00:00Z', 1n, 'a', {
    truth: true,
    small: 2 ** 31 - 1,
    whole: 2n ** 63n - 1n,
    single: Number.POSITIVE_INFINITY,
    real: 0.1 + 0.2,
    text: 'Zürich\u0000"日本"\\\n😀',
    blob: Uint8Array.of(0, 255, 128),
    moment: parseInstant('2255-01-01T00:00:00.123456Z'),
    day: 19_000,
    embedding: Float32Array.of(Math.fround(0.1), Math.fround(3e38), 1e-45),
  }),
  fact(3n, '2024-03-09T13:00:00Z', 2n, 'a', {}),
  fact(4n, '2024-03-09T14:00:00Z', 2n ** 53n + 1n, 'b', {
    whole: 2n ** 53n + 1n,
    real: 5e-324,
    single: 0,
    small: 0,
    text: 'x'.repeat(300),
    blob: new Uint8Array(300).fill(7),
    moment: 0,
    day: 0,
  }),
  fact(5n, '2024-03-09T15:00:00Z', -5n, 'b', { real: 1.7976931348623157e308, whole: -1n }),
];

/** The server with all facts in its online store. Close its `app`. */
export async function conformanceServer() {
  const online = memoryOnline();
  for (const definition of DEFINITIONS)
    if (definition.kind === 'featureView')
      await materialize(online, DEFINITIONS, definition.name, FACTS);
  return serverOver(DEFINITIONS, { online });
}
