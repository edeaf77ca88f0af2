/** A large registry: planning, applying, searching and reading it, and how that grows. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import {
  avg,
  count,
  definitionOf,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  lastK,
  onDemandView,
  parquet,
  source,
  sum,
  timestamp,
} from '../src/dsl/index.ts';
import { type Catalog, catalogOf, compileView, type Definition } from '../src/model/index.ts';
import { applyPlan, catalogAt, currentCatalog, preparePlan } from '../src/plan/index.ts';
import type { Registry } from '../src/registry/contract.ts';
import { openPostgresRegistry } from '../src/registry/postgres.ts';
import { openSqliteRegistry } from '../src/registry/sqlite.ts';
import { newDatabase } from '../test/registry/postgres_database.ts';
import { ownServer } from '../test/stream/servers.ts';
import { printBenchReport } from './report.ts';

const FEATURES_PER_VIEW = 20;
const WORDS =
  'amount balance basket churn click delay distance fraud login order price refund'.split(' ');

/** `views` views of 20 features, twice as many services of three views each, a tenth as many sources and on-demand views. */
function project(views: number, windowOfFirst: '7d' | '8d'): Catalog {
  const definitions: Definition[] = [];
  const add = <H extends Parameters<typeof definitionOf>[0]>(handle: H): H => {
    definitions.push(definitionOf(handle));
    return handle;
  };
  const entities = Array.from({ length: 10 }, (_, i) =>
    add(entity({ name: `entity_${i}`, key: { id: int64 }, owner: `team_${i}` })),
  );
  const sources = Array.from({ length: views / 10 }, (_, i) =>
    add(
      source({
        name: `source_${i}`,
        columns: { event_id: int64, at: timestamp, id: int64, a: float64, b: float64 },
        eventTime: 'at',
        eventId: 'event_id',
        batch: parquet(`data/source_${i}/*.parquet`),
      }),
    ),
  );
  const all = Array.from({ length: views }, (_, v) =>
    add(
      featureView({
        name: `${WORDS[v % WORDS.length]}_${v}`,
        entity: entities[v % entities.length]!,
        source: sources[v % sources.length]!,
        owner: `team_${v % 37}`,
        description: `What is known of ${WORDS[(v * 5) % WORDS.length]} in area ${v % 50}`,
        features: ({ a, b }) => ({
          first: avg(a).over(v === 0 ? windowOfFirst : '7d'),
          ...Object.fromEntries(
            Array.from({ length: FEATURES_PER_VIEW - 1 }, (_, f) => {
              const days = `${f + 1}d` as const;
              const made = [count(), sum(a), avg(a.add(b)), lastK(b, 5)][f % 4]!.over(days);
              return [
                `${WORDS[(v + f) % WORDS.length]}_${f}`,
                made.describe(`number ${f} of ${v}`),
              ];
            }),
          ),
        }),
      }),
    ),
  );
  const computed = Array.from({ length: views / 10 }, (_, i) =>
    add(
      onDemandView({
        name: `ratio_${i}`,
        request: { given: float64 },
        uses: { view: all[i * 10]! },
        features: ({ request, view }) => ({ ratio: request.given.div(view.first) }),
      }),
    ),
  );
  for (let s = 0; s < 2 * views; s++) {
    const some = [0, 1, 2].map((k) => all[(s + k * 7) % views]!.as(`v${k}`));
    const features = [...some, computed[s % computed.length]!];
    add(featureService({ name: `service_${s}`, model: `model_${s % 99}`, features }));
  }
  return catalogOf(definitions);
}

const seconds = async <T>(body: () => Promise<T> | T): Promise<[number, T]> => {
  const start = performance.now();
  const result = await body();
  return [(performance.now() - start) / 1000, result];
};

/** The middle and the worst of a hundred runs or more, in milliseconds. */
async function spread(runs: number, body: (i: number) => Promise<unknown> | unknown) {
  const times: number[] = [];
  for (let i = 0; i < runs; i++) times.push(1000 * (await seconds(() => body(i)))[0]);
  times.sort((a, b) => a - b);
  return { p50: times[runs >> 1]!, p99: times[Math.floor(runs * 0.99)]! };
}

async function inFile(views: number) {
  const folder = mkdtempSync(join(tmpdir(), 'samewise-bench-'));
  try {
    return await measure(views, await openSqliteRegistry(join(folder, 'registry.db')));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function measure(views: number, registry: Registry) {
  process.stderr.write(`${views * FEATURES_PER_VIEW} features in ${views} views\n`);
  const signature = { author: 'bench', message: 'everything', clock: systemClock };
  const catalog = project(views, '7d');
  const [planS, plan] = await seconds(() => preparePlan(registry, catalog));
  const [applyS] = await seconds(() => applyPlan(registry, plan, signature));
  const changed = project(views, '8d');
  const [replanS, small] = await seconds(() => preparePlan(registry, changed));
  const [reapplyS] = await seconds(() => applyPlan(registry, small, signature));
  const queries = [
    'fraud',
    'amo',
    'refund number',
    'f',
    'team_3 price',
    'ratio',
    'delay_12',
    'zzz',
  ];
  const search = await spread(400, (i) => registry.search(queries[i % queries.length]!));
  const list = await spread(100, () => registry.search('', { owner: 'team_3' }));
  const [loadS, registered] = await seconds(() => registry.load());
  const [catalogS] = await seconds(() => currentCatalog(registered));
  const head = await spread(1000, () => registry.head());
  const service = await spread(200, (i) => {
    const at = catalogAt(registered, {
      kind: 'featureService',
      name: `service_${i % (2 * views)}`,
    });
    for (const name of Object.keys(at.featureViews)) compileView(at, name);
  });
  await registry.close();
  return { planS, applyS, replanS, reapplyS, search, list, loadS, catalogS, head, service };
}

/** A registry in PostgreSQL; and how long another process takes to know of a large revision. */
async function inPostgres(views: number) {
  const server = await ownServer('postgres');
  try {
    const options = {
      url: await newDatabase(server.at),
      clock: systemClock,
      environment: process.env,
    };
    const measured = await measure(views, await openPostgresRegistry(options));
    const [openS, writer] = await seconds(() => openPostgresRegistry(options));
    const reader = await openPostgresRegistry(options);
    const followedMs: number[] = [];
    for (let i = 0; i < 10; i++) {
      const plan = await preparePlan(writer, project(views, i % 2 === 0 ? '7d' : '8d'));
      const moved = Promise.withResolvers<number>();
      reader.onMoved(() => moved.resolve(performance.now()));
      await applyPlan(writer, plan, { author: 'bench', message: '', clock: systemClock });
      const appliedMs = performance.now();
      // Who follows may be faster than the answer to the one who applies.
      followedMs.push(Math.max(0, (await moved.promise) - appliedMs));
    }
    for (const registry of [writer, reader]) await registry.close();
    return { ...measured, openS, followMs: Math.max(...followedMs) };
  } finally {
    await server.down();
  }
}

const small = await inFile(50);
const middle = await inFile(150);
const large = await inFile(500);
const postgres = await inPostgres(500);
type Measured = typeof large;

const s = (n: number) => `${n.toFixed(2)} s`;
const ms = (n: number) => `${n < 1 ? n.toFixed(3) : n.toFixed(1)} ms`;
const growth = (text: (m: Measured) => string) => [small, middle, large].map(text).join(' · ');

printBenchReport({
  title: 'Registry of 10,000 features',
  command: 'node bench/registry.ts',
  about:
    'SQLite on disk, and PostgreSQL on the same machine where it says so; 500 views of 20 features, 50 sources, 50 on-demand views, 1,000 services of four views each. Growth: 1,000 · 3,000 · 10,000 features.',
  rows: [
    {
      what: 'plan everything',
      value: growth((m) => s(m.planS)),
      target: '< 3 s',
      met: large.planS < 3,
    },
    {
      what: 'apply everything',
      value: growth((m) => s(m.applyS)),
      target: '< 5 s',
      met: large.applyS < 5,
    },
    {
      what: 'plan one changed window',
      value: growth((m) => s(m.replanS)),
      target: '< 3 s',
      met: large.replanS < 3,
    },
    {
      what: 'apply it',
      value: growth((m) => s(m.reapplyS)),
      target: '< 5 s',
      met: large.reapplyS < 5,
    },
    {
      what: 'search, p99',
      value: growth((m) => ms(m.search.p99)),
      target: '< 50 ms',
      met: large.search.p99 < 50,
    },
    { what: 'search, p50', value: growth((m) => ms(m.search.p50)) },
    {
      what: 'list by owner, p99',
      value: growth((m) => ms(m.list.p99)),
      target: '< 50 ms',
      met: large.list.p99 < 50,
    },
    { what: 'load (once per revision)', value: growth((m) => ms(1000 * m.loadS)) },
    { what: 'current catalog (once per revision)', value: growth((m) => ms(1000 * m.catalogS)) },
    {
      what: 'a service made ready (once per revision and service), p50',
      value: growth((m) => ms(m.service.p50)),
    },
    { what: 'has it changed? (polled), p99', value: growth((m) => ms(m.head.p99)) },
    ...[
      { what: 'plan everything', s: postgres.planS, most: 3 },
      { what: 'apply everything', s: postgres.applyS, most: 5 },
      { what: 'plan one changed window', s: postgres.replanS, most: 3 },
      { what: 'apply it', s: postgres.reapplyS, most: 5 },
      { what: 'search, p99', s: postgres.search.p99 / 1000, most: 0.05 },
      { what: 'open it', s: postgres.openS },
      {
        what: 'another process knows of an applied window, worst of 10',
        s: postgres.followMs / 1000,
        most: 1,
      },
    ].map(({ what, s: took, most }) => ({
      what: `PostgreSQL: ${what}`,
      value: took < 1 ? ms(1000 * took) : s(took),
      ...(most === undefined
        ? {}
        : { target: most < 1 ? `< ${1000 * most} ms` : `< ${most} s`, met: took < most }),
    })),
  ],
});
