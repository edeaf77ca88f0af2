/** A small project of everything that tends to go wrong: composite and unicode keys, int64 beyond 2^53, the years 1900 and 2200, µs edges. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatInstant, parseInstant, US_PER_DAY } from '../../src/base/time.ts';
import { sql } from './support.ts';

const FEATURES = `
import {
  count, csv, entity, featureService, featureView, float64, int64, last, lastK, max, onDemandView, parquet, source,
  string, sum, timestamp,
} from 'samewise';

export const shop = entity({ name: 'shop', key: { country: string, shop_id: int64 } });
export const user = entity({ name: 'user', key: { user_id: string } });

export const sales = source({
  name: 'sales',
  columns: {
    sale_id: int64, at: timestamp, country: string, shop_id: int64, amount: float64, ticket: int64, note: string,
  },
  eventTime: 'at',
  eventId: 'sale_id',
  lateness: '1h',
  batch: parquet('data/sales.parquet'),
});

export const clicks = source({
  name: 'clicks',
  columns: { click_id: int64, at: timestamp, user_id: string, page: string },
  eventTime: 'at',
  eventId: 'click_id',
  batch: csv('data/clicks.csv'),
});

export const trade = featureView({
  name: 'trade',
  entity: shop,
  source: sales,
  features: ({ amount, ticket, note, at }) => ({
    n_1ms: count().over('1ms'),
    n: count().lifetime(),
    total: sum(amount).lifetime(),
    top_ticket: max(ticket).lifetime(),
    last_tickets: lastK(ticket, 3).lifetime(),
    last_at: last(at).lifetime(),
    note,
  }),
});

export const activity = featureView({
  name: 'activity',
  entity: user,
  source: clicks,
  features: ({ page }) => ({ clicks_1d: count().over('1d'), last_page: page }),
});

export const scaled = onDemandView({
  name: 'scaled', request: { by: int64 }, uses: { trade },
  features: ({ request, trade }) => ({ shifted: trade.top_ticket.sub(request.by) }),
});

export const shops = featureService({ name: 'shops', features: [trade, scaled] });
export const users = featureService({ name: 'users', features: [activity] });
`;

export interface Sale {
  readonly id: bigint;
  readonly us: number;
  readonly country: string;
  readonly shop: bigint;
  readonly amount: number | null;
  readonly ticket: bigint | null;
  readonly note: string | null;
}

export interface Label {
  readonly us: number;
  readonly country: string;
  readonly shop: bigint;
  readonly by: bigint;
}

const BIG = 2n ** 53n + 1n;
const SHOPS: readonly (readonly [string, bigint])[] = [
  ['1', 23n],
  ['12', 3n],
  ['日本 🏯', BIG],
  ['e\u0301', -BIG],
  ['é', -BIG],
  ['', 0n],
  [`a,"b"'&=%+/?#`, 2n ** 63n - 1n],
];
const TIMES = [
  '1900-01-01',
  '1969-12-31T23:59:59.999999',
  '2024-02-29T12:00:00.000001',
  '2200-01-01',
];

/** At each time of each shop: five sales on the edges of a window of 1 ms. */
export const sales: readonly Sale[] = SHOPS.flatMap(([country, shop], s) =>
  TIMES.flatMap((time, t) =>
    [-1001, -1000, -1, 0, 0].map((offset, i): Sale => {
      const number = (s * TIMES.length + t) * 5 + i;
      return {
        id: BIG + BigInt(number),
        us: parseInstant(time) + offset,
        country,
        shop,
        amount: number % 7 === 0 ? null : [0.1, 1e16, -1e16, 0.2, 3e-7][i]!,
        ticket: number % 11 === 0 ? null : BIG * BigInt(1 + (number % 5)) + BigInt(i),
        note: number % 3 === 0 ? null : `n${number} 日本`,
      };
    }),
  ),
);

/** Labels around every edge; each third twice; unknown shops; times before all history. */
export const labels: readonly Label[] = [
  ...SHOPS.flatMap(([country, shop], s) =>
    TIMES.flatMap((time, t) =>
      [-1001, 0, 1].flatMap((offset, i): Label[] => {
        const label = { us: parseInstant(time) + offset, country, shop, by: BIG };
        return (s + t + i) % 3 === 0 ? [label, label] : [label];
      }),
    ),
  ),
  { us: parseInstant('2024-03-01'), country: '2', shop: 31n, by: 1n },
  { us: parseInstant('2024-03-01'), country: '123', shop: 0n, by: 1n },
  { us: parseInstant('1800-01-01'), country: '1', shop: 23n, by: 1n },
];

const stamp = (us: number) => `make_timestamp(${us})`;
const text = (value: string | null) =>
  value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`;

/** Writes the project; nothing is applied. */
export async function shopsProject(folder: string): Promise<string> {
  mkdirSync(join(folder, 'data'), { recursive: true });
  writeFileSync(join(folder, 'samewise.config.json'), '{}');
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'features.ts'), FEATURES);
  const day = parseInstant('2024-03-10');
  const clicks = Array.from(
    { length: 40 },
    (_, i) =>
      `${i},${formatInstant(day + (i * US_PER_DAY) / 20)},${i % 2 === 0 ? 'user_123' : '"é,1"'},/p${i}`,
  );
  writeFileSync(
    join(folder, 'data/clicks.csv'),
    `click_id,at,user_id,page\n${clicks.join('\n')}\n`,
  );
  await sql(`
    COPY (SELECT * FROM (VALUES ${sales
      .map(
        (s) =>
          `(${s.id}::BIGINT, ${stamp(s.us)}, ${text(s.country)}, ${s.shop}::BIGINT, ${s.amount}::DOUBLE, ${s.ticket}::BIGINT, ${text(s.note)}::VARCHAR)`,
      )
      .join(
        ',',
      )}) t(sale_id, "at", country, shop_id, amount, ticket, note)) TO '${folder}/data/sales.parquet'`);
  await sql(`
    COPY (SELECT * FROM (VALUES ${labels
      .map(
        (l, i) => `(${i}, ${stamp(l.us)}, ${text(l.country)}, ${l.shop}::BIGINT, ${l.by}::BIGINT)`,
      )
      .join(',')}) t(row, "at", country, shop_id, "by")) TO '${folder}/labels.parquet'`);
  return folder;
}

/** What the features of `trade` mean, the slow way; text is compared, so it is free of rounding. */
export function naive({ us, country, shop, by }: Label) {
  const seen = sales
    .filter((s) => s.country === country && s.shop === shop && s.us < us)
    .sort((a, b) => a.us - b.us || Number(a.id - b.id));
  const tickets = seen.flatMap(({ ticket }) => (ticket === null ? [] : [ticket]));
  const top = tickets.reduce<bigint | null>((a, b) => (a === null || b > a ? b : a), null);
  return {
    n_1ms: seen.filter((s) => s.us >= us - 1000).length,
    n: seen.length,
    top_ticket: top,
    last_tickets: tickets.slice(-3),
    last_at: seen.length === 0 ? null : formatInstant(seen.at(-1)!.us),
    note: seen.at(-1)?.note ?? null,
    shifted: top === null ? null : top - by,
  };
}
