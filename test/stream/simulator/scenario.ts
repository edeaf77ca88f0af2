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

export interface Scenario {
  readonly catalog: Catalog;
  readonly source: Source;
  /** The views; some of them live only later. */
  readonly programs: readonly ViewProgram[];
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
  const users = random.between(1, 4);
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
  return {
    catalog,
    source: programs[0]!.source,
    programs,
    record: (nowUs) => {
      if (random.chance(poison)) return random.pick(POISON);
      const row = any(nowUs);
      sent.push(row);
      const key = withId ? utf8.encode(JSON.stringify({ id: row.id })) : null;
      return { key, value: utf8.encode(JSON.stringify(row)) };
    },
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
