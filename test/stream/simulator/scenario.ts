/** What a run is about: a source with views, and the records that are appended to its log. All of it comes from the seed. */

import {
  collect,
  count,
  entity,
  featureView,
  float64,
  int64,
  source,
  string,
  sum,
  timestamp,
} from '../../../src/dsl/index.ts';
import {
  type Catalog,
  catalogOf,
  compileView,
  DEFAULT_STREAM,
  type Source,
  type ViewProgram,
  validateCatalog,
} from '../../../src/model/index.ts';
import type { Random } from './random.ts';

export const START_US = 1_700_000_000_000_000;
const SECOND = 1_000_000;
const MAX_AHEAD_US = 60 * SECOND;
export const LATENESS_US = 10 * SECOND;
/** The longest window of views with retention. */
export const LONGEST_US = 45 * SECOND;

export interface Scenario {
  readonly catalog: Catalog;
  readonly source: Source;
  /** The views; some of them live only later. */
  readonly programs: readonly ViewProgram[];
  /** The source that it looks up, with the views that are looked up and another one. */
  readonly looksUp?: Scenario;
  /** The value of the next record, for one that is appended at this time, and what it is partitioned by. */
  record(nowUs: number): { readonly key: Uint8Array | null; readonly value: Uint8Array | null };
}

const catalogs = new Map<string, Catalog>();

function catalogFor(mutable: boolean, withId: boolean): Catalog {
  const name = `${mutable} ${withId}`;
  let catalog = catalogs.get(name);
  if (catalog !== undefined) return catalog;
  const user = entity({ name: 'user', key: { user_id: int64 } });
  const columns = { id: int64, at: timestamp, user_id: int64, amount: float64, note: string };
  const events = source({
    name: 'events',
    columns,
    eventTime: 'at',
    ...(withId ? { eventId: 'id' as const } : {}),
    mutable,
    lateness: '10s',
    stream: { ...DEFAULT_STREAM, maxAheadUs: MAX_AHEAD_US },
  });
  const totals = featureView({
    name: 'totals',
    entity: user,
    source: events,
    features: ({ amount }) => ({
      n: count().over('20s'),
      recent: sum(amount).over('45s'),
      all: sum(amount).lifetime(),
    }),
  });
  const large = featureView({
    name: 'large',
    entity: user,
    source: events,
    where: ({ amount }) => amount.gt(50),
    features: ({ amount }) => ({ n: count().lifetime(), amount }),
  });
  const notes = featureView({
    name: 'notes',
    entity: user,
    source: events,
    features: ({ note }) => ({ note, n: count(note).over('1h') }),
  });
  catalog = catalogOf(collect({ user, events, totals, large, notes }));
  validateCatalog(catalog);
  catalogs.set(name, catalog);
  return catalog;
}

function enrichedCatalogFor(
  mutable: boolean,
  withId: boolean,
  mutableUsers: boolean,
  retention: boolean,
): Catalog {
  const name = `${mutable} ${withId} ${mutableUsers} ${retention}`;
  let catalog = catalogs.get(name);
  if (catalog !== undefined) return catalog;
  const user = entity({ name: 'user', key: { user_id: int64 } });
  const city = entity({ name: 'city', key: { city: string } });
  const columns = { id: int64, at: timestamp, user_id: int64, amount: float64, note: string };
  const common = { eventTime: 'at' as const, lateness: '10s' as const };
  const stream = { ...DEFAULT_STREAM, maxAheadUs: MAX_AHEAD_US };
  const users = source({
    name: 'users',
    columns,
    ...common,
    ...(mutableUsers || withId ? { eventId: 'id' as const } : {}),
    mutable: mutableUsers,
    stream,
  });
  const profile = featureView({
    name: 'profile',
    entity: user,
    source: users,
    features: ({ note }) => ({ city: note }),
  });
  const activity = featureView({
    name: 'activity',
    entity: user,
    source: users,
    retention: retention ? '60s' : undefined,
    where: ({ amount }) => amount.gt(20),
    features: ({ amount }) => ({
      recent: sum(amount).over('45s'),
      n: count().over('20s'),
      typical: sum(amount).over('30s').default(-1),
    }),
  });
  const events = source({
    name: 'events',
    columns,
    ...common,
    eventId: withId ? 'id' : undefined,
    mutable,
    stream,
    lookups: {
      city: profile.features.city,
      spent: activity.features.recent,
      typical: activity.features.typical,
    },
  });
  const totals = featureView({
    name: 'totals',
    entity: user,
    source: events,
    features: ({ amount }) => ({ n: count().over('20s'), all: sum(amount).lifetime() }),
  });
  const cities = featureView({
    name: 'cities',
    entity: city,
    source: events,
    features: ({ amount }) => ({ n: count().over('45s'), amount: sum(amount).lifetime() }),
  });
  const spenders = featureView({
    name: 'spenders',
    entity: user,
    source: events,
    where: ({ city, spent }) => city.ne('a').or(spent.gt(50)),
    features: ({ city, spent, typical }) => ({
      city,
      spent: sum(spent).over('1h'),
      typical,
      n: count(city).lifetime(),
    }),
  });
  catalog = catalogOf(
    collect({ user, city, users, profile, activity, events, totals, cities, spenders }),
  );
  validateCatalog(catalog);
  catalogs.set(name, catalog);
  return catalog;
}

/** A scenario of two sources, of which one looks the other up. */
export function enrichedScenario(random: Random): Scenario {
  const mutable = random.chance(0.3);
  const withId = mutable || random.chance(0.7);
  const mutableUsers = random.chance(0.5);
  const catalog = enrichedCatalogFor(mutable, withId, mutableUsers, random.chance(0.3));
  const of = (...names: string[]) => names.map((name) => compileView(catalog, name));
  const users = random.between(1, 3);
  const looked = of('profile', 'activity');
  const own = of('totals', 'cities', 'spenders');
  const shuffled = random.chance(0.5) ? own : own.toReversed();
  return {
    catalog,
    source: own[0]!.source,
    programs: shuffled,
    record: records(random, own[0]!.source, users),
    looksUp: {
      catalog,
      source: looked[0]!.source,
      programs: looked,
      record: records(random, looked[0]!.source, users),
    },
  };
}

/** The definitions of a scenario. */
export function scenarioOf(mutable: boolean, withId: boolean): Omit<Scenario, 'record'> {
  const catalog = catalogFor(mutable, withId);
  const programs = ['totals', 'large', 'notes'].map((name) => compileView(catalog, name));
  return { catalog, programs, source: programs[0]!.source };
}

export function scenario(random: Random): Scenario {
  const mutable = random.chance(0.4);
  const withId = mutable || random.chance(0.7);
  const { catalog, programs } = scenarioOf(mutable, withId);
  const { source } = programs[0]!;
  const record = records(random, source, random.between(1, 4));
  return { catalog, source, programs, record };
}

/** Records of a source as they come, bad ones among them. */
function records(random: Random, { mutable, eventId }: Source, users: number): Scenario['record'] {
  const withId = eventId !== null;
  const ids = random.between(3, 60);
  // Notes of this size fill blocks after a few events.
  const noteBytes = random.chance(0.3) ? 900 : 3;
  const lates = random.chance(0.5) ? 0.08 : 0;
  const poison = random.chance(0.5) ? 0.06 : 0;
  const sent: Record<string, unknown>[] = [];
  let nextId = 1;

  const fresh = (nowUs: number): Record<string, unknown> => {
    let at = nowUs - random.below(8 * SECOND);
    if (random.chance(lates)) at = nowUs - random.between(15, 300) * SECOND;
    if (random.chance(poison / 3)) at = nowUs + MAX_AHEAD_US + random.between(1, 500) * SECOND;
    // On whole seconds, so that many are at one time and on the edges of windows.
    if (random.chance(0.5)) at -= at % SECOND;
    return {
      id: mutable ? random.below(ids) : nextId++,
      at,
      user_id: random.chance(0.05) ? null : random.below(users),
      amount: random.chance(0.1) ? null : random.below(400) / 4,
      note: random.pick(['', 'a', 'é']).padEnd(random.below(noteBytes + 1), 'x'),
    };
  };
  const any = (nowUs: number): Record<string, unknown> => {
    const known = sent.length > 0 ? random.pick(sent) : null;
    if (known !== null && random.chance(0.12)) return known;
    if (known !== null && random.chance(0.1)) return { ...known, __op: 'retract' };
    // Another content under the same identity: what arrived first stands.
    if (known !== null && random.chance(0.05)) return { ...known, amount: random.below(400) / 4 };
    const row = fresh(nowUs);
    // What a retract takes away may come after it.
    if (random.chance(0.03)) {
      sent.push(row);
      return { ...row, __op: 'retract' };
    }
    return row;
  };
  return (nowUs) => {
    if (random.chance(poison)) return random.pick(POISON);
    const row = any(nowUs);
    sent.push(row);
    const key = withId ? utf8.encode(JSON.stringify({ id: row.id })) : null;
    return { key, value: utf8.encode(JSON.stringify(row)) };
  };
}

const utf8 = new TextEncoder();

const POISON = [
  '{"id":',
  '{"id":1,"at":"yesterday","user_id":1,"amount":1,"note":""}',
  '{"id":1,"at":0,"user_id":"x","amount":1,"note":""}',
  '{"id":1,"at":0,"user_id":1,"amount":1}',
  '{"id":null,"at":null,"user_id":1,"amount":1,"note":""}',
  '{"id":1,"at":253370764800000000,"user_id":1,"amount":1,"note":""}',
  '[]',
  null,
].map((text) => ({ key: null, value: text === null ? null : utf8.encode(text) }));
