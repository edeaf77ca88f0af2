/**
 * A project of a source that looks others up, with workers as processes: purchases in the city that a user had by a log of changes, and
 * with the tier of a card that is a table under change. What is served is held to a naive fold over what history has.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getVector } from '../../src/app/get.ts';
import { liveViews } from '../../src/app/live_views.ts';
import { type App, openApp } from '../../src/app/open.ts';
import { type PushState, push as pushRows } from '../../src/app/push.ts';
import type { Streaming } from '../../src/app/streaming.ts';
import { applyHere, Streams } from '../../src/app/streams.ts';
import { formatInstant, parseInstant, US_PER_SECOND } from '../../src/base/time.ts';
import type { Delivery } from '../../src/offline/contract.ts';
import { encodeKey } from '../../src/types/key.ts';
import { json, run } from './support.ts';

/** The topic of each source. */
export interface Topics {
  readonly users: string;
  readonly cards: string;
  readonly purchases: string;
}

const featuresOf = (topics: Topics | null) => {
  const from = (source: keyof Topics) =>
    topics === null ? '' : `stream: stream({ topic: '${topics[source]}' }),`;
  return `
import { count, entity, featureService, featureView, float64, int64, source, stream, string, sum, timestamp } from 'samewise';

export const user = entity({ name: 'user', key: { user_id: int64 } });
export const purchase = entity({ name: 'purchase', key: { purchase_id: int64 } });
export const city = entity({ name: 'city', key: { city: string } });

export const users = source({
  name: 'users',
  columns: { change_id: int64, at: timestamp, user_id: int64, city: string },
  eventTime: 'at', eventId: 'change_id', lateness: '1h', ${from('users')}
});
export const cards = source({
  name: 'cards',
  columns: { user_id: int64, at: timestamp, tier: string },
  eventTime: 'at', eventId: 'user_id', mutable: true, ${from('cards')}
});
export const profile = featureView({
  name: 'profile', entity: user, source: users,
  features: ({ city }) => ({ city, moves: count().over('30d') }),
});
export const card = featureView({
  name: 'card', entity: user, source: cards,
  features: ({ tier }) => ({ tier }),
});
export const purchases = source({
  name: 'purchases',
  columns: { purchase_id: int64, at: timestamp, customer_id: int64, amount: float64 },
  eventTime: 'at', eventId: 'purchase_id', lateness: '1h', ${from('purchases')}
  lookups: {
    city: profile.on({ user_id: 'customer_id' }).features.city,
    moves: profile.on({ user_id: 'customer_id' }).features.moves,
    tier: card.on({ user_id: 'customer_id' }).features.tier,
  },
});
export const sales = featureView({
  name: 'sales', entity: city, source: purchases,
  features: ({ amount }) => ({ n: count().lifetime(), total: sum(amount).lifetime() }),
});
export const buyers = featureView({
  name: 'buyers', entity: user, source: purchases, keys: { user_id: 'customer_id' },
  features: ({ amount, city, moves, tier }) => ({ spent: sum(amount).lifetime(), city, moves, tier }),
});
export const bought = featureView({
  name: 'bought', entity: purchase, source: purchases,
  features: ({ city, moves, tier }) => ({ its_city: city, its_moves: moves, its_tier: tier }),
});
export const cities_v1 = featureService({ name: 'cities_v1', features: [sales] });
export const buyers_v1 = featureService({ name: 'buyers_v1', features: [buyers] });
`;
};

const CITIES = ['Oslo', 'Lima', '東京', ''];
const USERS = 6;
const FROM_US = parseInstant('2024-04-10');

/** Park & Miller's generator: a failure can be run again. */
let state = 20_260_301;
function random(below: number): number {
  state = (state * 48_271) % 2_147_483_647;
  return state % below;
}

export interface Purchases {
  readonly project: string;
  readonly app: App;
  readonly streaming: Streaming;
  /** A row of a source, later than the one before, or not. */
  readonly rowOf: Readonly<Record<string, () => Record<string, unknown>>>;
  /** Whole and new. */
  nextId(): number;
  /** The next instant. */
  later(): number;
  pushed(
    source: string,
    rows: readonly Record<string, unknown>[],
    wait: PushState,
  ): Promise<unknown>;
  /** Pushes so many random events, some of them twice. */
  pushSome(events: number): Promise<void>;
  /** Until some worker process has taken what comes now. */
  begun(): Promise<void>;
  read(service: string, key: Record<string, unknown>): Promise<Record<string, any>>;
  /** Everything that is served is what the fold over history says, and pages are what history says. */
  check(): Promise<void>;
}

/** Makes and applies the project in a new folder, over the embedded log or over these topics. */
export async function purchasesIn(
  project: string,
  config: Readonly<Record<string, unknown>> = {},
  topics: Topics | null = null,
): Promise<Purchases> {
  mkdirSync(project);
  writeFileSync(join(project, 'features.ts'), featuresOf(topics));
  writeFileSync(join(project, 'samewise.config.json'), JSON.stringify(config));
  await json(project, 'apply', '--yes');
  const app = await openApp({ projectDir: project });
  const streaming = await app.streaming();
  let nextId = 1;
  let nowUs = FROM_US;

  const at = () => {
    nowUs += random(60) * US_PER_SECOND;
    // Some are out of order, a few too late.
    const backUs = random(20) === 0 ? 7_200 * US_PER_SECOND : random(4) * 300 * US_PER_SECOND;
    return formatInstant(nowUs - backUs);
  };
  const rowOf: Record<string, () => Record<string, unknown>> = {
    users: () => ({
      change_id: nextId++,
      at: at(),
      user_id: random(USERS),
      city: random(12) === 0 ? null : CITIES[random(CITIES.length)],
    }),
    cards: () => ({
      user_id: random(USERS),
      at: at(),
      tier: ['none', 'gold', 'iron'][random(3)],
      ...(random(8) === 0 ? { __op: 'retract' } : {}),
    }),
    purchases: () => ({
      purchase_id: nextId++,
      at: at(),
      customer_id: random(20) === 0 ? null : random(USERS + 1),
      amount: random(400) / 4,
    }),
  };

  const sent: { source: string; row: Record<string, unknown> }[] = [];
  async function pushSome(events: number): Promise<void> {
    for (let i = 0; i < events; i++) {
      const source = ['users', 'cards', 'purchases', 'purchases'][random(4)]!;
      // Some come twice.
      const again = sent.length > 0 && random(15) === 0 ? sent[random(sent.length)]! : null;
      const one = again ?? { source, row: rowOf[source]!() };
      sent.push(one);
      await pushed(one.source, [one.row], 'durable');
    }
  }

  function pushed(source: string, rows: readonly Record<string, unknown>[], wait: PushState) {
    return pushRows(streaming, { source, rows, wait }, (of, places) =>
      applyHere(streaming, of, places),
    );
  }

  /** All that history has of a view's keys; the first view of its source will do. */
  async function deliveries(view: string, keys: number): Promise<Delivery[]> {
    const [live] = liveViews(await app.registry.load(), [view]);
    const { catalog, program } = live!;
    const wanted = Array.from({ length: keys }, (_, key) =>
      encodeKey([BigInt(key)], program.keyDtypes),
    );
    return app.offline.deliveries({ catalog, view, keys: wanted, limit: 100_000 });
  }

  /** The naive twin: what a user's table or log of changes said at t, out of what had arrived before a. */
  function known(of: readonly Delivery[], mutable: boolean, user: bigint, t: number, a: number) {
    const mine = of.filter((one) => one.values.user_id === user && one.arrivalUs < a);
    const byId = Map.groupBy(mine, ({ id }) => id);
    const standing = [...byId.values()].map((same) => {
      const inOrder = same.toSorted((x, y) => x.arrivalUs - y.arrivalUs);
      return mutable ? inOrder.at(-1)! : inOrder[0]!;
    });
    return standing
      .filter((one) => !one.retract && one.timeUs < t)
      .sort((x, y) => x.timeUs - y.timeUs || x.arrivalUs - y.arrivalUs);
  }

  /** Everything that is served is what the fold over history says, and pages are what history says. */
  async function check(): Promise<void> {
    // What comes late is in history alone until it is mended, save where it is looked up.
    const compared = await run(project, 'reconcile', '--repair', '--json');
    for (const { view, told } of compared.json as { view: string; told: { cause: string }[] }[])
      assert.deepEqual(
        told.filter(({ cause }) => cause !== 'late' || view === 'profile' || view === 'card'),
        [],
        view,
      );
    const users = await deliveries('profile', USERS);
    const cards = await deliveries('card', USERS);
    // A repeat changes nothing: of each purchase the first arrival stands.
    const all = (await deliveries('buyers', USERS + 1)).toSorted(
      (x, y) => x.arrivalUs - y.arrivalUs,
    );
    const perCity = new Map<string, { ids: Set<bigint>; total: number }>();
    const last = new Map<
      bigint,
      { t: number; a: number; id: bigint; row: Record<string, unknown> }
    >();
    const seen = new Set<bigint>();
    for (const { id, timeUs: t, arrivalUs: a, values } of all) {
      const user = values.customer_id as bigint;
      const profile = known(users, false, user, t, a);
      const city = (profile.at(-1)?.values.city ?? null) as string | null;
      const moves = BigInt(profile.filter((one) => one.timeUs >= t - 30 * 86_400e6).length);
      const tier = known(cards, true, user, t, a).at(-1)?.values.tier ?? null;
      if (city !== null) {
        const own = perCity.get(city) ?? { ids: new Set(), total: 0 };
        if (!own.ids.has(id)) own.total += values.amount as number;
        own.ids.add(id);
        perCity.set(city, own);
      }
      if (seen.has(id)) continue;
      seen.add(id);
      const before = last.get(user);
      if (before === undefined || before.t < t || (before.t === t && before.a < a))
        last.set(user, { t, a, id, row: { city, moves, tier } });
    }
    for (const city of CITIES) {
      const { n, total } = await read('cities_v1', { city });
      const own = perCity.get(city);
      assert.deepEqual([n, total], [BigInt(own?.ids.size ?? 0), own?.total ?? null], city);
    }
    for (const [user, { row }] of last) {
      const { city, moves, tier } = await read('buyers_v1', { user_id: user });
      assert.deepEqual({ city, moves, tier }, row, `user ${user}`);
    }
  }

  async function read(service: string, key: Record<string, unknown>): Promise<Record<string, any>> {
    const given = Object.fromEntries(
      Object.entries(key).map(([name, value]) => [name, `${value}`]),
    );
    const { features } = await getVector(app, service, given, { atUs: null, through: false });
    return Object.fromEntries(features.map(({ name, value }) => [name, value]));
  }

  /** Of no workers of its own: it waits for what other processes apply. */
  const elsewhere = new Streams(streaming, {
    sources: null,
    observer: {},
    onFailure: () => {},
    onSchemaChange: () => {},
  });

  /** Until some worker process has taken what comes now. */
  async function begun(): Promise<void> {
    const rows = [rowOf.purchases!()];
    await pushRows(streaming, { source: 'purchases', rows, wait: 'applied' }, elsewhere.applied);
  }

  const later = () => {
    nowUs += 60 * US_PER_SECOND;
    return nowUs;
  };
  return {
    project,
    app,
    streaming,
    rowOf,
    nextId: () => nextId++,
    later,
    pushed,
    pushSome,
    begun,
    read,
    check,
  };
}
