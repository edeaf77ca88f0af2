/** A project of which everything that is served is logged: an append-only source, a table, four views, one looked up via another, one on demand. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { proveServed } from '../../src/app/prove_served.ts';
import { manualClock, systemClock } from '../../src/base/clock.ts';
import { parseInstant } from '../../src/base/time.ts';
import type { LoggedVector } from '../../src/offline/feature_log_contract.ts';
import { catalogAt } from '../../src/plan/index.ts';
import {
  compileMembers,
  compileService,
  FeatureLog,
  logVectors,
  RequestIds,
  VectorReader,
} from '../../src/serving/index.ts';
import type { StaleParts } from '../../src/serving/staleness.ts';
import { type Project, project } from './project.ts';

export const FEATURES = `
import { avg, count, entity, featureService, featureView, float64, int64, lastK, onDemandView, parquet, source, string, sum, timestamp } from 'samewise';
const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const city = entity({ name: 'city', key: { city: string } });
const payments = source({
  name: 'payments',
  columns: { id: int64, at: timestamp, customer_id: int64, city: string, amount: float64 },
  eventTime: 'at', eventId: 'id', lateness: '1h', batch: parquet('data/*.parquet'),
});
const accounts = source({
  name: 'accounts',
  columns: { id: int64, at: timestamp, customer_id: int64, city: string, amount: float64 },
  eventTime: 'at', eventId: 'id', mutable: true,
});
export const large = featureView({
  name: 'large', entity: customer, source: payments, where: ({ amount }) => amount.gt(50),
  features: ({ amount }) => ({ large_n: count().lifetime(), newest: amount }),
});
export const held = featureView({
  name: 'held', entity: customer, source: accounts,
  features: ({ amount, city }) => ({ accounts: count().lifetime(), held: sum(amount).lifetime(), home: city }),
});
export const local = featureView({
  name: 'local', entity: city, source: payments,
  features: ({ amount }) => ({ city_mean: avg(amount).over('6h') }),
});
export const spending = featureView({
  name: 'spending', entity: customer, source: payments,
  features: ({ amount }) => ({ n: count().over('1h'), mean: avg(amount).over('3h'), total: sum(amount).lifetime().default(0), last: lastK(amount, 3).over('2h') }),
});
const orders = source({
  name: 'orders',
  columns: { id: int64, at: timestamp, customer_id: int64, city: string, amount: float64 },
  eventTime: 'at', eventId: 'id', lateness: '1h', lookups: { lives_in: held.home },
});
export const ordered = featureView({
  name: 'ordered', entity: customer, source: orders, where: ({ amount }) => amount.gt(10),
  features: ({ lives_in }) => ({ ordered_n: count().over('4h'), lived_in: lastK(lives_in, 4).lifetime() }),
});
export const context = onDemandView({
  name: 'context', request: { amount: float64 }, uses: { spending },
  features: ({ request, spending }) => ({ to_mean: request.amount.div(spending.mean) }),
});
export const fraud = featureService({ name: 'fraud', features: [spending, large, held, ordered, local.via({ city: held.home }), context] });
`;
/** The same with features that others stand in for. */
export const FALLING = FEATURES.replace(
  "count().over('1h')",
  "count().over('1h').orElse(held.accounts)",
).replace(
  "avg(amount).over('3h')",
  "avg(amount).over('3h').orElse(local.via({ city: held.home }).features.city_mean, held.held)",
);
export const START_US = parseInstant('2024-03-20T12:00:00Z');
export const CUSTOMERS = 4;
export const CITIES = ['Rome', 'Oslo'];

const projects: Project[] = [];
after(() => {
  for (const one of projects) one.remove();
});

/** A project with some events in its batch location, and a log that takes every vector. */
export async function world(rows = 40, features = FEATURES) {
  const here = await project(
    features,
    `SELECT i AS id, TIMESTAMP '2024-03-20' + to_minutes(i * 17) AS "at", i % ${CUSTOMERS} AS customer_id,
       CASE WHEN i % 3 = 0 THEN 'Rome' ELSE 'Oslo' END AS city, (i * 37 % 100)::DOUBLE AS amount FROM range(${rows}) t(i)`,
  );
  projects.push(here);
  // Who waits for a log measures it by the monotonic clock.
  const clock = { ...manualClock(START_US), monotonicMs: systemClock.monotonicMs };
  const app = await here.open({ clock });
  const registered = await app.registry.load();
  const reader = new VectorReader(
    app.online,
    { pages: () => {}, bytes: () => {} },
    app.coldTier.bringBack,
  );
  const logged: LoggedVector[] = [];
  const log = new FeatureLog({
    files: { append: async (vectors) => logged.push(...vectors) },
    share: 1,
    random: () => 0,
    requestIds: new RequestIds('r'),
    onFailure: (error) => assert.fail(String(error)),
  });
  const ref = { kind: 'featureService', name: 'fraud', version: 1 } as const;
  const service = compileService(catalogAt(registered, ref), 'fraud', 1);
  const list = compileMembers(catalogAt(registered, { kind: 'featureView', name: 'spending' }), [
    {
      view: 'spending',
      features: ['total', 'last', 'n', 'mean'],
      keys: [{ from: 'column', column: 'customer_id' }],
      as: null,
    },
  ]);
  /** Reads customers by a program, the service's unless told, and logs it; `withheld` by look-up and feature. */
  const serve = async (
    customers: readonly number[],
    readUs = clock.nowUs(),
    program = service,
    withheld: StaleParts['withheld'] | null = null,
  ) => {
    const rows = customers.map((id) => (program === service ? [BigInt(id), 12.5] : [BigInt(id)]));
    const chosen = log.choose(rows.length);
    const stale = withheld && { sinceUs: 0, outputs: [], withheld, refusal: null };
    const reading = reader.begin(program, rows, readUs, chosen, stale);
    await reading.read(0, rows.length);
    const vectors = reading.end();
    const served = { requestId: null, registered, rows, readUs, servedUs: clock.nowUs() };
    logVectors(log, vectors, chosen, served);
    await log.flush();
    return vectors;
  };
  return {
    app,
    clock,
    logged,
    serve,
    /** With spending's first two features withheld. */
    serveWithheld: (customers: readonly number[]) =>
      serve(
        customers,
        clock.nowUs(),
        service,
        service.plan.lookups.map(({ program }) =>
          program.view.name === 'spending' ? [0, 1] : null,
        ),
      ),
    serveList: (customer: number) => serve([customer], clock.nowUs(), list),
    async prove(vectors: readonly LoggedVector[] = logged) {
      const files = { ...app.featureLog!, read: async () => [...vectors] };
      const request = { service: null, sinceUs: 0, limit: 1e6 };
      return proveServed({ ...app, featureLog: files }, request);
    },
  };
}

export type World = Awaited<ReturnType<typeof world>>;
