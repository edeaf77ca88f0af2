/** From look-ups to outputs: defaults, keys of look-ups via features, on-demand programs. Columns in, columns out. */
import { assert } from '../base/errors.ts';
import type { Batch } from '../types/batch.ts';
import { type Column, ColumnBuilder } from '../types/column.ts';
import type { Scalar } from '../types/scalar.ts';
import type { Lookup, ServicePlan, Slot } from './service_plan.ts';

export interface Assembled {
  /** One column per output of the plan, in its order, defaults applied. */
  readonly columns: readonly Column[];
  /** The same before defaults: null here means that nothing is stored or the expression gave null. */
  readonly raw: readonly Column[];
}

/**
 * The outputs of a plan. `looked[i]` holds the columns of look-up i in the order of its `features`, before defaults;
 * `request` holds the plan's key and request columns in their types. All have `request.length` rows.
 */
export function assemble(
  plan: ServicePlan,
  looked: readonly (readonly Column[])[],
  request: Batch,
): Assembled {
  const computed: { raw: readonly Column[]; values: readonly Column[] }[] = [];
  // A default is filled in once per column, however often the column is used.
  const filled = plan.lookups.map((): Column[] => []);
  const columnAt = (slot: Slot): Column => {
    switch (slot.from) {
      case 'request': {
        const column = request.columns[slot.column];
        assert(column !== undefined, `the request has the column ${slot.column}`);
        return column;
      }
      case 'lookup':
        return (filled[slot.lookup]![slot.index] ??= withDefault(
          looked[slot.lookup]![slot.index]!,
          plan.lookups[slot.lookup]!.defaults[slot.index]!,
        ));
      case 'computed':
        return computed[slot.step]!.values[slot.index]!;
    }
  };
  for (const { inputs, program, defaults } of plan.computations) {
    const columns: Record<string, Column> = {};
    for (const { name, slot } of inputs) columns[name] = columnAt(slot);
    const raw = program.run({ length: request.length, columns });
    computed.push({ raw, values: raw.map((column, i) => withDefault(column, defaults[i]!)) });
  }
  const sources = plan.outputs.map(({ from }) => from);
  return {
    columns: sources.map(columnAt),
    raw: sources.map((slot) =>
      slot.from === 'lookup'
        ? looked[slot.lookup]![slot.index]!
        : computed[slot.step]!.raw[slot.index]!,
    ),
  };
}

/**
 * The key parts of a look-up, in the entity's order: columns of the request, or what earlier look-ups gave (after
 * defaults). A row with a null part is an unknown entity. `looked` needs to hold the look-ups before this one.
 */
export function keyColumnsOf(
  plan: ServicePlan,
  lookup: Lookup,
  looked: readonly (readonly Column[])[],
  request: Batch,
): Column[] {
  return lookup.keys.map((slot) => {
    if (slot.from === 'lookup') {
      return withDefault(
        looked[slot.lookup]![slot.index]!,
        plan.lookups[slot.lookup]!.defaults[slot.index]!,
      );
    }
    const column = request.columns[slot.column];
    assert(column !== undefined, `the request has the column ${slot.column}`);
    return column;
  });
}

/** The column with `fill` in place of every null; the column itself where there is nothing to fill. */
export function withDefault(column: Column, fill: Scalar | null): Column {
  const { validity } = column;
  if (fill === null || validity === null) return column;
  if (column.kind === 'float64' || column.kind === 'float32' || column.kind === 'int32') {
    const data = column.data.slice();
    for (let row = 0; row < data.length; row++) if (validity[row] === 0) data[row] = fill as number;
    return { ...column, data, validity: null } as Column;
  }
  const builder = new ColumnBuilder(column.dtype, column.length);
  for (let row = 0; row < column.length; row++) {
    if (validity[row] === 0) builder.push(fill);
    else builder.pushFrom(column, row);
  }
  return builder.finish();
}
