/** From look-ups to outputs: fallbacks, defaults, keys of look-ups via features, on-demand programs. Columns in, columns out. */
import { assert } from '../base/errors.ts';
import type { Batch } from '../types/batch.ts';
import { type Column, ColumnBuilder } from '../types/column.ts';
import type { Scalar } from '../types/scalar.ts';
import type { Chain, KeySlot, Lookup, LookupSlot, ServicePlan } from './service_plan.ts';

export interface Assembled {
  /** One column per output of the plan, in its order, with what stands in. */
  readonly columns: readonly Column[];
  /** The same before anything stands in: null here means that nothing is stored or the expression gave null. */
  readonly raw: readonly Column[];
}

/** By look-up: a column for each of `sweptFeatures`, before defaults. */
export type Looked = readonly (readonly Column[])[];

/** The outputs of a plan. `request` holds the plan's key and request columns in their types. All have `request.length` rows. */
export function assemble(plan: ServicePlan, looked: Looked, request: Batch): Assembled {
  const computed: { raw: readonly Column[]; values: readonly Column[] }[] = [];
  // What stands in is filled in once per column, however often the column is used.
  const filled = plan.lookups.map((): Column[] => []);
  const chained: Column[] = [];
  const columnAt = (slot: ServicePlan['outputs'][number]['from'] | KeySlot): Column => {
    switch (slot.from) {
      case 'request':
        return requested(request, slot.column);
      case 'lookup':
        return (filled[slot.lookup]![slot.index] ??= storedOrDefault(plan, looked, slot));
      case 'chain':
        return (chained[slot.chain] ??= firstPresent(plan, plan.chains[slot.chain]!, looked));
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
    raw: sources.map((slot) => {
      if (slot.from === 'computed') return computed[slot.step]!.raw[slot.index]!;
      const { lookup, index } = slot.from === 'chain' ? plan.chains[slot.chain]!.levels[0]! : slot;
      return looked[lookup]![index]!;
    }),
  };
}

/**
 * The key parts of a look-up, in the entity's order: columns of the request, or what earlier look-ups gave, with what stands
 * in. A row with a null part is an unknown entity. `looked` needs to hold the look-ups before this one.
 */
export function keyColumnsOf(
  plan: ServicePlan,
  lookup: Lookup,
  looked: Looked,
  request: Batch,
): Column[] {
  return lookup.keys.map((slot) => {
    if (slot.from === 'request') return requested(request, slot.column);
    if (slot.from === 'lookup') return storedOrDefault(plan, looked, slot);
    return firstPresent(plan, plan.chains[slot.chain]!, looked);
  });
}

function requested({ columns }: Batch, name: string): Column {
  const column = columns[name];
  assert(column !== undefined, `the request has the column ${name}`);
  return column;
}

function storedOrDefault(plan: ServicePlan, looked: Looked, { lookup, index }: LookupSlot): Column {
  return withDefault(looked[lookup]![index]!, plan.lookups[lookup]!.defaults[index]!);
}

/** What a chain gives, row by row: the rule of `resolve` for columns. */
function firstPresent(plan: ServicePlan, { levels, ...chain }: Chain, looked: Looked): Column {
  const columns = levels.map(({ lookup, index }) => looked[lookup]![index]!);
  const events = levels.map(({ lookup }) => {
    const { tellsFound, features } = plan.lookups[lookup]!;
    return tellsFound ? (looked[lookup]![features.length]!.data as BigInt64Array) : null;
  });
  const isPresent = (level: number, row: number): boolean =>
    columns[level]!.validity?.[row] !== 0 && events[level]?.[row] !== 0n;
  const own = columns[0]!;
  const builder = new ColumnBuilder(chain.dtype, own.length);
  for (let row = 0; row < own.length; row++) {
    const level = columns.findIndex((_, at) => isPresent(at, row));
    if (level >= 0) builder.pushFrom(columns[level]!, row);
    else if (chain.default !== null) builder.push(chain.default);
    else builder.pushFrom(own, row);
  }
  return builder.finish();
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
