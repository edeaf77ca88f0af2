/** A plan made ready for many requests: what a request gives, which look-ups share a key, what only on-demand views need. */
import { canonicalJson } from '../base/hash.ts';
import type { Catalog, Member } from '../model/definitions.ts';
import { type Lookup, planService, type ServicePlan } from '../model/index.ts';
import type { Schema } from '../types/batch.ts';
import type { Scalar } from '../types/scalar.ts';

/** Look-ups of one level that have the same key parts: their key is encoded once. */
export interface KeyGroup {
  readonly keys: Lookup['keys'];
  /** Of each key part that comes from the request: its position in `inputs`, else −1. */
  readonly inputs: readonly number[];
  /** Positions in the plan's look-ups. */
  readonly lookups: readonly number[];
}

/** Where an output comes from, all of one shape: it is looked at for every value. */
export interface OutputSource {
  /** Position of the look-up; −1: it is computed. */
  readonly lookup: number;
  /** Position among the look-up's features, or among the computed outputs. */
  readonly index: number;
  /** What stands for a stored null. */
  readonly default: Scalar | null;
  /** The look-ups that it is made from, not counting those that only gave a key to another. */
  readonly needs: readonly number[];
}

export interface ServiceProgram {
  readonly name: string;
  /** 0 for an ad-hoc list of features. */
  readonly version: number;
  readonly plan: ServicePlan;
  /** What a request gives for each entity: key columns, then request data. The first `keyCount` are keys. */
  readonly inputs: Schema;
  readonly keyCount: number;
  /** Groups by level: those of a level share a round trip. */
  readonly levels: readonly (readonly KeyGroup[])[];
  /** The plan with only its computed outputs, in order; null where there are none. */
  readonly computed: ServicePlan | null;
  /** Of each output. */
  readonly sources: readonly OutputSource[];
  /** Of each look-up and each of its features: whether a computation reads it. */
  readonly computedFrom: readonly (readonly boolean[])[];
}

/** Compiles one version of a service. */
export function compileService(catalog: Catalog, name: string, version: number): ServiceProgram {
  return compileMembers(catalog, catalog.featureServices[name]!.members, name, version);
}

/** Compiles members, for instance an ad-hoc list of features. Throws as `planService` does. */
export function compileMembers(
  catalog: Catalog,
  members: readonly Member[],
  name = '',
  version = 0,
): ServiceProgram {
  const plan = planService(catalog, members);
  const inputs = [...plan.keyColumns, ...plan.requestColumns];
  const positionOf = new Map(inputs.map((field, i) => [field.name, i]));
  const computed = plan.outputs.filter(({ from }) => from.from === 'computed');
  let computedSeen = 0;
  return {
    name,
    version,
    plan,
    inputs,
    keyCount: plan.keyColumns.length,
    levels: levelsOf(plan, positionOf),
    computed: computed.length === 0 ? null : { ...plan, outputs: computed },
    sources: plan.outputs.map(({ from }) =>
      from.from === 'computed'
        ? { lookup: -1, index: computedSeen++, default: null, needs: needsOf(plan, from.step) }
        : {
            lookup: from.lookup,
            index: from.index,
            default: plan.lookups[from.lookup]!.defaults[from.index]!,
            needs: [from.lookup],
          },
    ),
    computedFrom: plan.lookups.map(({ features }, lookup) =>
      features.map((_, index) =>
        plan.computations.some((computation) =>
          computation.inputs.some(
            ({ slot }) => slot.from === 'lookup' && slot.lookup === lookup && slot.index === index,
          ),
        ),
      ),
    ),
  };
}

/** The look-ups that a computation reads, itself or through others. */
function needsOf(plan: ServicePlan, step: number): number[] {
  const slots = plan.computations[step]!.inputs.map(({ slot }) => slot);
  const needs = slots.flatMap((slot) => {
    if (slot.from === 'lookup') return [slot.lookup];
    return slot.from === 'computed' ? needsOf(plan, slot.step) : [];
  });
  return [...new Set(needs)];
}

function levelsOf(plan: ServicePlan, positionOf: ReadonlyMap<string, number>): KeyGroup[][] {
  const levels = Array.from({ length: plan.depth }, () => new Map<string, KeyGroup>());
  plan.lookups.forEach(({ keys, level, program }, position) => {
    const groups = levels[level]!;
    const identity = canonicalJson([keys, program.keyDtypes]);
    const group = groups.get(identity);
    groups.set(identity, {
      keys,
      inputs: keys.map((slot) => (slot.from === 'request' ? positionOf.get(slot.column)! : -1)),
      lookups: [...(group?.lookups ?? []), position],
    });
  });
  return levels.map((groups) => [...groups.values()]);
}
