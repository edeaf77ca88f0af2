/**
 * What every client is held to: requests, and what REST answers them, in test/golden/conformance.json. A client reads the file,
 * asks the server of `fixtures/conformance.ts` each `request` of each service, and has to come to the same values, statuses,
 * event times and types, or to the same error. `node test/serving/conformance/cases.ts` writes the file anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseExactJson } from '../../../src/serving/json.ts';
import { conformanceServer } from './world.ts';

const FILE = join(import.meta.dirname, '../../golden/conformance.json');

/** The body of `POST /api/v1/services/{service}/vectors`, without what says how the answer is written. */
export interface ConformanceRequest {
  readonly entities: readonly Readonly<Record<string, unknown>>[];
  readonly at?: string;
  readonly through?: boolean;
}

export interface ConformanceCase {
  readonly name: string;
  readonly service: string;
  readonly request: ConformanceRequest;
  /** Of the HTTP answer; 200 unless the request is refused. */
  readonly status: number;
  /** The answer in columns, with statuses and event times; or `{error}`. */
  readonly answer: {
    readonly service: string;
    readonly version: number;
    readonly at: string;
    readonly columns: Readonly<Record<string, readonly unknown[]>>;
    readonly statuses: Readonly<Record<string, readonly string[]>>;
    readonly event_times: Readonly<Record<string, readonly (string | null)[]>>;
    readonly error?: { readonly code: string; readonly field?: string };
  };
}

export interface Conformance {
  /** By service: types of what a request gives and of what is answered, as definitions print them. */
  readonly types: Readonly<
    Record<string, Readonly<Record<'inputs' | 'features', Readonly<Record<string, string>>>>>
  >;
  readonly cases: readonly ConformanceCase[];
}

/** The file; whole numbers beyond 2^53 are bigints. */
export function conformance(): Conformance {
  return parseExactJson(conformanceText()) as Conformance;
}

/** The text of the file. */
export function conformanceText(): string {
  return readFileSync(FILE, 'utf8');
}

const AT = '2024-03-10T00:00:00Z';
const given = {
  id: 1,
  kind: 'a',
  r_truth: true,
  r_small: -2147483648,
  r_whole: 12,
  r_single: 0.1,
  r_real: 1e300,
  r_text: 'Zürich "日本"\n',
  r_blob: 'AP+A',
  r_moment: '1969-12-31T23:59:59.999999Z',
  r_day: '2024-02-29',
};
const nothing = Object.fromEntries(Object.keys(given).map((name) => [name, null]));

/** Name, service, and the request as text: a number in it may be longer than JavaScript's. */
const REQUESTS: readonly (readonly [name: string, service: string, request: string])[] = [
  ['one entity', 'all', `{"entities":[{"id":1,"kind":"a"}],"at":"${AT}"}`],
  [
    'extremes, nulls, and entities that are not there',
    'all',
    `{"entities":[{"id":1,"kind":"a"},{"id":2,"kind":"a"},{"id":9007199254740993,"kind":"b"},{"id":-5,"kind":"b"},{"id":9,"kind":"b"},{"id":9,"kind":"zz"},{"id":null,"kind":"a"},{"id":1,"kind":null}],"at":"${AT}"}`,
  ],
  [
    'up to an event',
    'all',
    '{"entities":[{"id":1,"kind":"a"}],"at":"2024-03-01T00:00:00.000001Z"}',
  ],
  [
    'through an event',
    'all',
    '{"entities":[{"id":1,"kind":"a"},{"id":2,"kind":"a"}],"at":"2024-03-01T00:00:00.000001Z","through":true}',
  ],
  ['too old', 'all', '{"entities":[{"id":1,"kind":"a"}],"at":"2024-03-05"}'],
  [
    'a hundred entities',
    'all',
    JSON.stringify({
      entities: Array.from({ length: 100 }, (_, i) => ({ id: (i % 7) - 5, kind: 'ab'[i % 2] })),
      at: AT,
    }),
  ],
  [
    'a version, and request data of every type',
    'asked@1',
    JSON.stringify({ entities: [given, nothing, { ...given, r_real: '-Infinity' }], at: AT }),
  ],
  [
    'whole numbers that no float holds',
    'asked',
    JSON.stringify({ entities: [given], at: AT }).replace(
      '"r_whole":12',
      '"r_whole":-9223372036854775808',
    ),
  ],
  ['an unknown service', 'al', `{"entities":[{"id":1,"kind":"a"}],"at":"${AT}"}`],
  ['an unknown version', 'all@7', `{"entities":[{"id":1,"kind":"a"}],"at":"${AT}"}`],
  ['a missing field', 'all', `{"entities":[{"id":1}],"at":"${AT}"}`],
  ['an unknown field', 'all', `{"entities":[{"id":1,"kind":"a","king":"b"}],"at":"${AT}"}`],
  ['a wrong type', 'all', `{"entities":[{"id":"x","kind":"a"}],"at":"${AT}"}`],
  [
    'a fraction that is no whole number',
    'all',
    `{"entities":[{"id":1.5,"kind":"a"}],"at":"${AT}"}`,
  ],
];

/** The file's text, made from what a server answers. */
export async function madeConformance(): Promise<string> {
  const { app } = await conformanceServer();
  const listed = (await app.inject('/api/v1/services')).json() as {
    services: { name: string; keys: object; request: object; features: object }[];
  };
  const types = listed.services.map(
    ({ name, keys, request, features }) =>
      `${JSON.stringify(name)}:${JSON.stringify({ inputs: { ...keys, ...request }, features })}`,
  );
  const cases: string[] = [];
  for (const [name, service, request] of REQUESTS) {
    const { statusCode, body } = await app.inject({
      method: 'POST',
      url: `/api/v1/services/${service}/vectors`,
      headers: { 'content-type': 'application/json', 'x-request-id': 'conformance' },
      payload: request.replace(/}$/, ',"orientation":"columns","full":true}'),
    });
    cases.push(
      `{"name":${JSON.stringify(name)},"service":"${service}","request":${request},"status":${statusCode},"answer":${body}}`,
    );
  }
  await app.close();
  return `{"types":{${types.join()}},\n"cases":[\n${cases.join(',\n')}\n]}\n`;
}

if (import.meta.main) writeFileSync(FILE, await madeConformance());
