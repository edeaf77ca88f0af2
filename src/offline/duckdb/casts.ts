/** How a column of a file becomes a declared type without loss, in SQL; anything else is a wrong type. */
import type { Dtype } from '../../types/dtype.ts';
import { sqlType } from '../../types/sql.ts';

/** A cast: `sql` is right where `guard` holds (null: everywhere), and is an error of DuckDB's where the value does not fit. */
export interface Cast {
  readonly sql: string;
  readonly guard: string | null;
}

const WHOLE = ['TINYINT', 'SMALLINT', 'INTEGER', 'UTINYINT', 'USMALLINT'];
const INSTANTS = ['TIMESTAMP', 'TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP WITH TIME ZONE', 'DATE'];

/** The cast of `value`, of DuckDB's type `actual`, to `dtype`; null if that could lose something. */
export function castOf(value: string, actual: string, dtype: Dtype): Cast | null {
  if (actual === 'JSON')
    return dtype.kind === 'list' || dtype.kind === 'vector'
      ? plain(`CAST(${value} AS ${sqlType(dtype)})`)
      : textCast(`(${value} ->> '$')`, dtype);
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(actual);
  switch (dtype.kind) {
    case 'bool':
      return actual === 'BOOLEAN' ? plain(value) : null;
    case 'int32':
      if (actual === 'INTEGER') return plain(value);
      return WHOLE.includes(actual) ? plain(`${value}::INTEGER`) : null;
    case 'int64':
      if (actual === 'BIGINT') return plain(value);
      return [...WHOLE, 'UINTEGER', 'UBIGINT', 'HUGEINT'].includes(actual) || decimal?.[2] === '0'
        ? plain(`${value}::BIGINT`)
        : null;
    case 'float32':
      if (actual === 'FLOAT') return plain(value);
      return ['TINYINT', 'SMALLINT', 'UTINYINT', 'USMALLINT'].includes(actual)
        ? plain(`${value}::FLOAT`)
        : null;
    case 'float64':
      if (actual === 'DOUBLE') return plain(value);
      if ([...WHOLE, 'UINTEGER', 'FLOAT'].includes(actual) || decimal !== null)
        return plain(`${value}::DOUBLE`);
      return ['BIGINT', 'UBIGINT', 'HUGEINT'].includes(actual)
        ? { sql: `${value}::DOUBLE`, guard: `abs(${value}::HUGEINT) <= 9007199254740992` }
        : null;
    case 'string':
      if (actual === 'VARCHAR') return plain(value);
      return actual === 'UUID' || actual.startsWith('ENUM') ? plain(`${value}::VARCHAR`) : null;
    case 'bytes':
      return actual === 'BLOB' ? plain(value) : null;
    case 'timestamp':
      if (actual === 'TIMESTAMP') return plain(value);
      if (INSTANTS.includes(actual)) return plain(`${value}::TIMESTAMP`);
      if (actual === 'TIMESTAMP_NS')
        return { sql: `${value}::TIMESTAMP`, guard: `epoch_ns(${value}) % 1000 = 0` };
      return actual === 'VARCHAR' ? textCast(value, dtype) : null;
    case 'date':
      if (actual === 'DATE') return plain(value);
      if (INSTANTS.includes(actual) || actual === 'TIMESTAMP_NS')
        return { sql: `${value}::DATE`, guard: `${value}::TIMESTAMP = ${value}::DATE` };
      return actual === 'VARCHAR' ? textCast(value, dtype) : null;
    case 'list': {
      const element = /^(.*)\[\d*\]$/.exec(actual)?.[1];
      if (element === undefined) return null;
      const cast = castOf('e', element, dtype.of);
      if (cast === null || cast.guard !== null) return null;
      if (cast.sql !== 'e') return plain(`list_transform(${value}, lambda e: ${cast.sql})`);
      return plain(actual === sqlType(dtype) ? value : `${value}::${sqlType(dtype)}`);
    }
    case 'vector':
      if (actual === sqlType(dtype)) return plain(value);
      return /^(FLOAT|DOUBLE)\[\d*\]$/.test(actual) ? plain(`${value}::${sqlType(dtype)}`) : null;
  }
}

/** The cast of text, as CSV and JSON hold it. Times follow `parseInstant`: UTC unless they carry an offset, no more digits than microseconds. */
export function textCast(value: string, dtype: Dtype): Cast {
  const matching = (pattern: string, sql: string): Cast => ({
    sql,
    guard: `regexp_full_match(${value}, '${pattern}')`,
  });
  switch (dtype.kind) {
    case 'int32':
    case 'int64':
      return matching(String.raw`\s*[+-]?[0-9]+\s*`, `CAST(${value} AS ${sqlType(dtype)})`);
    case 'timestamp':
      return matching(
        String.raw`\s*[0-9+-]{4,7}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,6}0*)?)?\s*(Z|z|UTC|[+-]\d{2}(:?\d{2})?)?)?\s*`,
        `CAST(CAST(${value} AS TIMESTAMP WITH TIME ZONE) AS TIMESTAMP)`,
      );
    case 'date':
      return matching(String.raw`\s*\d{4}-\d{2}-\d{2}\s*`, `CAST(${value} AS DATE)`);
    case 'string':
      return plain(value);
    case 'bytes':
      return plain(`from_base64(${value})`);
    default:
      return plain(`CAST(${value} AS ${sqlType(dtype)})`);
  }
}

/** The expression of a cast; a value outside its guard is an error of DuckDB's. */
export function castExpression(cast: Cast, value: string, dtype: Dtype): string {
  if (cast.guard === null) return cast.sql;
  return `CASE WHEN ${value} IS NULL THEN NULL WHEN ${cast.guard} THEN ${cast.sql} ELSE CAST('not a ${dtype.kind}: ' || (${value})::VARCHAR AS ${sqlType(dtype)}) END`;
}

/** Where a cast fails, as a condition. */
export function castFails(cast: Cast, value: string, dtype: Dtype): string {
  const lost = `(${value} IS NOT NULL AND TRY(${castExpression(cast, value, dtype)}) IS NULL)`;
  return dtype.kind === 'float32' || dtype.kind === 'float64'
    ? `(${lost} OR COALESCE(isnan(TRY(${cast.sql})), false))`
    : lost;
}

function plain(sql: string): Cast {
  return { sql, guard: null };
}
