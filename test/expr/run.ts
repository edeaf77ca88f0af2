/** Evaluates one Value over columns given as scalars. */
import { compile, type Value } from '../../src/expr/index.ts';
import { batchOf } from '../../src/types/batch.ts';
import { columnOf, scalarsOf } from '../../src/types/column.ts';
import type { Dtype } from '../../src/types/dtype.ts';
import type { Scalar } from '../../src/types/scalar.ts';

type Columns = Readonly<Record<string, readonly [Dtype, readonly (Scalar | null)[]]>>;

/** The value of every row. Without columns there is one row, for expressions over literals. */
export function evaluate(value: Value<any>, columns: Columns = {}): (Scalar | null)[] {
  const schema = Object.entries(columns).map(([name, [dtype]]) => ({ name, dtype }));
  const data = Object.entries(columns).map(
    ([name, [dtype, rows]]) => [name, columnOf(dtype, rows)] as const,
  );
  const length = data[0]?.[1].length ?? 1;
  const program = compile([value.expr], schema);
  return scalarsOf(program.run(batchOf(Object.fromEntries(data), length))[0]!);
}
