/** Types as DuckDB's SQL writes them. */
import type { Dtype } from './dtype.ts';

/** The name of a type in DuckDB's SQL: `BIGINT`, `VARCHAR[]`, `FLOAT[384]`. */
export function sqlType(dtype: Dtype): string {
  switch (dtype.kind) {
    case 'bool':
      return 'BOOLEAN';
    case 'int32':
      return 'INTEGER';
    case 'int64':
      return 'BIGINT';
    case 'float32':
      return 'FLOAT';
    case 'float64':
      return 'DOUBLE';
    case 'string':
      return 'VARCHAR';
    case 'bytes':
      return 'BLOB';
    case 'timestamp':
      return 'TIMESTAMP';
    case 'date':
      return 'DATE';
    case 'list':
      return `${sqlType(dtype.of)}[]`;
    case 'vector':
      return `FLOAT[${dtype.size}]`;
  }
}
