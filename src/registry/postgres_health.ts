/** Health records in PostgreSQL; the caller sees to transactions and to coded errors. */
import type { ISql } from 'postgres';
import { canonicalJson } from '../base/hash.ts';
import type {
  Comparison,
  HealthRecords,
  LevelChange,
  LevelState,
  ServiceLevel,
} from './health_contract.ts';

type Statements = ISql<{ bigint: number }>;

/** Changes that are kept at most. */
const MAX_CHANGES = 100_000;
/** Rows of one statement; it has at most 65,534 parameters. */
const ROWS = 1_000;

interface LevelRow {
  readonly view: string;
  readonly version: number;
  readonly feature: string;
  readonly state: LevelState;
  readonly lag_ms: number | null;
}

export async function readComparisons(sql: Statements): Promise<Comparison[]> {
  const rows = await sql<
    (Omit<Comparison, 'atUs' | 'causes'> & { at_us: number; causes: string })[]
  >`select * from samewise.comparisons order by view collate "C", version, by`;
  return rows.map(({ view, version, by, at_us, compared, different, causes, notes }) => ({
    view,
    version,
    by,
    atUs: at_us,
    compared,
    different,
    causes: JSON.parse(causes),
    notes,
  }));
}

export async function writeComparison(sql: Statements, of: Comparison): Promise<void> {
  const causes = canonicalJson(of.causes);
  await sql`
    insert into samewise.comparisons values (
      ${of.view}, ${of.version}, ${of.by}, ${of.atUs}, ${of.compared}, ${of.different}, ${causes}, ${of.notes}
    ) on conflict (view, version, by) do update set at_us = excluded.at_us, compared = excluded.compared,
      different = excluded.different, causes = excluded.causes, notes = excluded.notes`;
}

export async function readServiceLevels(sql: Statements): Promise<ServiceLevel[]> {
  const rows = await sql<(LevelRow & { since_us: number; looked_us: number })[]>`
    select * from samewise.service_levels order by view collate "C", version, feature collate "C"`;
  return rows.map((row) => ({
    ...levelOf(row),
    state: row.state,
    sinceUs: row.since_us,
    lag_ms: row.lag_ms,
    lookedUs: row.looked_us,
  }));
}

export async function writeServiceLevels(
  sql: Statements,
  levels: Parameters<HealthRecords['putServiceLevels']>[0],
): Promise<void> {
  const rows = levels.map(({ view, version, feature, state, sinceUs, lag_ms, lookedUs }) => ({
    view,
    version,
    feature: feature ?? '',
    state,
    since_us: sinceUs,
    lag_ms,
    looked_us: lookedUs,
  }));
  for (let from = 0; from < rows.length; from += ROWS)
    await sql`
      insert into samewise.service_levels ${sql(rows.slice(from, from + ROWS))}
      on conflict (view, version, feature) do update set state = excluded.state,
        since_us = excluded.since_us, lag_ms = excluded.lag_ms, looked_us = excluded.looked_us`;
}

export async function addLevelChanges(
  sql: Statements,
  changes: readonly LevelChange[],
): Promise<void> {
  const rows = changes.map(({ view, version, feature, atUs, state, lag_ms }) => ({
    view,
    version,
    feature: feature ?? '',
    at_us: atUs,
    state,
    lag_ms,
  }));
  for (let from = 0; from < rows.length; from += ROWS)
    await sql`insert into samewise.level_changes ${sql(rows.slice(from, from + ROWS))}`;
}

/** Forgets what happened before `keepFromUs` and the oldest changes beyond those that are kept at most. */
export async function forgetLevelChanges(sql: Statements, keepFromUs: number): Promise<void> {
  await sql`
    delete from samewise.level_changes where at_us < ${keepFromUs} or id <= (
      select id from samewise.level_changes order by id desc offset ${MAX_CHANGES} limit 1
    )`;
}

export async function readLevelChanges(
  sql: Statements,
  view: string | null,
): Promise<LevelChange[]> {
  const rows = await sql<(LevelRow & { at_us: number })[]>`
    select * from samewise.level_changes ${view === null ? sql`` : sql`where view = ${view}`}
    order by at_us, id`;
  return rows.map((row) => ({
    ...levelOf(row),
    atUs: row.at_us,
    state: row.state,
    lag_ms: row.lag_ms,
  }));
}

export async function takeTurn(
  sql: Statements,
  { name, nowUs, nextUs, furthestUs }: Parameters<HealthRecords['takeTurn']>[0],
): Promise<boolean> {
  const { count } = await sql`
    insert into samewise.turns values (${name}, ${nextUs})
    on conflict (name) do update set next_us = excluded.next_us
    where turns.next_us <= ${nowUs} or turns.next_us > ${furthestUs}`;
  return count === 1;
}

export async function writeTurn(sql: Statements, name: string, nextUs: number): Promise<void> {
  await sql`
    insert into samewise.turns values (${name}, ${nextUs})
    on conflict (name) do update set next_us = excluded.next_us`;
}

function levelOf({ view, version, feature }: LevelRow) {
  return { view, version, feature: feature === '' ? null : feature };
}
