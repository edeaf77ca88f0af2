/** A plan made ready for many requests: what a request gives, which look-ups share a key, what only on-demand views need. */
import { canonicalJson } from '../base/hash.ts';
import type { Catalog, Member } from '../model/definitions.ts';
import { type Lookup, type LookupSlot, planService, type ServicePlan } from '../model/index.ts';
import type { Schema } from '../types/batch.ts';
import { type StoredSource, storedSource } from './stand_in.ts';

/** Look-ups of one level that have the same key parts: their key is encoded once. */
export interface KeyGroup {
  readonly keys: Lookup['keys'];
  /** Of each key part that comes from the request: its position in `inputs`, else −1. */
  readonly inputs: readonly number[];
  /** Of each key part that comes from a look-up. */
  readonly stored: readonly (StoredSource | null)[];
  /** Positions in the plan's look-ups. */
  readonly lookups: readonly number[];
}

/** Where an output comes from. */
export interface OutputSource extends StoredSource {
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
  const read = plan.computations.flatMap(({ inputs }) =>
    inputs.flatMap(({ slot }): readonly LookupSlot[] => {
      if (slot.from === 'chain') return plan.chains[slot.chain]!.levels;
      return slot.from === 'lookup' ? [slot] : [];
    }),
  );
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
        ? {
            lookup: -1,
            index: computedSeen++,
            default: plan.computations[from.step]!.defaults[from.index]!,
            fallbacks: [],
            needs: needsOf(plan, from.step),
          }
        : outputSource(storedSource(plan, from)),
    ),
    computedFrom: plan.lookups.map(({ features }, lookup) =>
      features.map((_, index) =>
        read.some((slot) => slot.lookup === lookup && slot.index === index),
      ),
    ),
  };
}

/** What stands in for a value is needed only where the value is not there, which statuses tell. */
function outputSource(source: StoredSource): OutputSource {
  return { ...source, needs: [source.lookup] };
}

/** The look-ups that a computation reads, itself or through others. */
function needsOf(plan: ServicePlan, step: number): number[] {
  const slots = plan.computations[step]!.inputs.map(({ slot }) => slot);
  const needs = slots.flatMap((slot) => {
    if (slot.from === 'lookup') return [slot.lookup];
    if (slot.from === 'chain') return plan.chains[slot.chain]!.levels.map(({ lookup }) => lookup);
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
      stored: keys.map((slot) => (slot.from === 'request' ? null : storedSource(plan, slot))),
      lookups: [...(group?.lookups ?? []), position],
    });
  });
  return levels.map((groups) => [...groups.values()]);
}
