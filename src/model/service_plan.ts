/**
 * The plan of a service: which views to look up under which keys, what to compute from them, and what comes out.
 * Serving (few rows) and training (many) run the same plan; `assemble` in assemble.ts turns look-ups into outputs.
 */
import { assert, SamewiseError } from '../base/errors.ts';
import { canonicalJson } from '../base/hash.ts';
import { columnsOf, compile, type Program } from '../expr/index.ts';
import type { Field, Schema } from '../types/batch.ts';
import type { Dtype } from '../types/dtype.ts';
import { coerce, type Scalar } from '../types/scalar.ts';
import { entityOf, featureIndex, featureViewOf, viewOf } from './catalog.ts';
import type { Catalog, FeatureUse, KeyOrigin, Member, OnDemandView } from './definitions.ts';
import { isNeverNull } from './lookup_reads.ts';
import { fallbacksOf, featuresTaken, outputName, printRef } from './members.ts';
import { Problems } from './problems.ts';
import { checkMember, checkRow } from './validate_members.ts';
import { onDemandColumns } from './validate_on_demand.ts';
import { compileView, type ViewProgram } from './view_program.ts';

/** A column of the label or request. */
export interface RequestSlot {
  readonly from: 'request';
  readonly column: string;
}
/** Feature `index` of look-up `lookup` (a position in `Lookup.features`), after its default. */
export interface LookupSlot {
  readonly from: 'lookup';
  readonly lookup: number;
  readonly index: number;
}
/** Output `index` of computation `step`, after its default. */
export interface ComputedSlot {
  readonly from: 'computed';
  readonly step: number;
  readonly index: number;
}
/** What chain `chain` gives. */
export interface ChainSlot {
  readonly from: 'chain';
  readonly chain: number;
}
export type Slot = RequestSlot | LookupSlot | ComputedSlot | ChainSlot;
/** What may give a part of a key. */
export type KeySlot = RequestSlot | LookupSlot | ChainSlot;

/** A feature and its fallbacks: the first that is present gives the value, else the default, else the feature itself. */
export interface Chain {
  /** The feature, then its fallbacks; as they are stored, before defaults. */
  readonly levels: readonly LookupSlot[];
  readonly dtype: Dtype;
  readonly default: Scalar | null;
}

/** One view under one key; each distinct one happens once, whoever needs it. */
export interface Lookup {
  readonly program: ViewProgram;
  /** Where each key part comes from, in the entity's order; a slot of look-ups names earlier ones. */
  readonly keys: readonly KeySlot[];
  /** Positions in the view's features (= `layout.reads`) to read, ascending. */
  readonly features: readonly number[];
  /** Types and defaults of these features. */
  readonly dtypes: readonly Dtype[];
  readonly defaults: readonly (Scalar | null)[];
  /**
   * Whether a chain must know if the entity has any event before T: where a feature is never null (a count), its value does
   * not tell. What is looked up offline then has one column more (see `sweptFeatures`).
   */
  readonly tellsFound: boolean;
  /** 0 where all keys come from the request, else one more than the deepest look-up it needs. Equal levels can share a round trip. */
  readonly level: number;
}

/** One on-demand view: runs once for the union of its features that are needed. */
export interface Computation {
  readonly view: OnDemandView;
  /** Positions in the view's features, ascending: what it computes, in this order. */
  readonly features: readonly number[];
  /** Over columns called as in the view's expressions: `request.<column>`, `<alias>.<feature>`. */
  readonly program: Program;
  readonly inputs: readonly { readonly name: string; readonly slot: Slot }[];
  readonly dtypes: readonly Dtype[];
  readonly defaults: readonly (Scalar | null)[];
}

/**
 * One output column. The status of a look-up's output is the one its timeline read gave, until something stands in (see
 * `resolve`). A computed output is PRESENT, or where its expression gave null DEFAULTED or NULL_VALUE: see `Assembled.raw`.
 */
export interface Output {
  readonly name: string;
  /** `view:feature`. */
  readonly ref: string;
  readonly dtype: Dtype;
  readonly description: string;
  readonly from: LookupSlot | ComputedSlot | ChainSlot;
}

export interface ServicePlan {
  /** Label or request columns that hold key parts, in the order of first use. */
  readonly keyColumns: Schema;
  /** Other label or request columns: data for on-demand views, in the order of first use. */
  readonly requestColumns: Schema;
  /** In an order in which each one's keys are there when its turn comes. */
  readonly lookups: readonly Lookup[];
  /** Of features that have fallbacks. */
  readonly chains: readonly Chain[];
  /** In an order in which each one's inputs are there. */
  readonly computations: readonly Computation[];
  readonly outputs: readonly Output[];
  /** Round trips to the online store, at least: the number of levels of look-ups. */
  readonly depth: number;
}

interface LookupDraft {
  readonly view: string;
  readonly keys: readonly (RequestSlot | DraftSlot)[];
  readonly level: number;
  readonly features: Set<number>;
}
interface ChainDraft {
  readonly levels: readonly StoredSlot[];
}
interface ComputationDraft {
  readonly view: OnDemandView;
  readonly features: Set<number>;
}
/** A slot whose position is not known before all needs are. `feature` is a position in the view. */
interface StoredSlot {
  readonly from: 'lookup';
  readonly at: number;
  readonly feature: number;
}
type DraftSlot =
  | StoredSlot
  | { readonly from: 'computed'; readonly at: number; readonly feature: number }
  | ChainSlot;

/**
 * Plans members over a valid catalog. The members themselves are checked here, because they also come from a bare list of
 * features: unknown views and features, `model/output-clash`, `model/column-conflict`.
 */
export function planService(catalog: Catalog, members: readonly Member[]): ServicePlan {
  const problems = new Problems();
  members.forEach((member, i) => {
    checkMember(problems, member, catalog, { field: `features[${i}]` });
  });
  problems.throwIfAny();
  checkRow(problems, members, catalog, {});
  problems.throwIfAny();

  const draft = new Draft(catalog);
  const outputs = members.flatMap((member) => {
    const view = viewOf(catalog, member.view);
    return featuresTaken(view, member).map(({ name, dtype, description }) => ({
      name: outputName(member, name),
      ref: printRef(view.name, name),
      dtype,
      description,
      slot: draft.need(member, featureIndex(view, name)),
    }));
  });
  return draft.finish(outputs);
}

/** Collects what is needed, each look-up and computation once, in an order in which it can run. */
class Draft {
  readonly #catalog: Catalog;
  readonly #lookups = new Map<string, LookupDraft>();
  readonly #order: LookupDraft[] = [];
  readonly #chains: ChainDraft[] = [];
  readonly #chainOf = new Map<string, number>();
  readonly #computations: ComputationDraft[] = [];
  readonly #stepOf = new Map<string, number>();
  readonly #keyColumns = new Map<string, Dtype>();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** A member's feature, by its position in the view. */
  need(member: Member, feature: number): DraftSlot {
    const view = viewOf(this.#catalog, member.view);
    if (view.kind === 'featureView') {
      const own = this.#stored(member, feature);
      const fallbacks = fallbacksOf(this.#catalog, view, view.features[feature]!, member);
      return fallbacks.length === 0 ? own : this.#chain(own, fallbacks);
    }
    const at = this.#computation(view);
    const { features } = this.#computations[at]!;
    if (!features.has(feature)) {
      features.add(feature);
      for (const name of columnsOf(view.features[feature]!.expr)) this.#input(view, name);
    }
    return { from: 'computed', at, feature };
  }

  /** What is stored of a feature. */
  #stored(member: Member, feature: number): StoredSlot {
    const at = this.#lookup(member);
    this.#order[at]!.features.add(feature);
    return { from: 'lookup', at, feature };
  }

  #chain(own: StoredSlot, fallbacks: readonly FeatureUse[]): ChainSlot {
    const levels = fallbacks.map(({ member, feature }) =>
      this.#stored(member, featureIndex(featureViewOf(this.#catalog, member.view), feature)),
    );
    const identity = canonicalJson([own, levels]);
    let chain = this.#chainOf.get(identity);
    if (chain === undefined) {
      chain = this.#chains.push({ levels: [own, ...levels] }) - 1;
      this.#chainOf.set(identity, chain);
    }
    return { from: 'chain', chain };
  }

  /** The deepest look-up that a slot needs. */
  #levelOf(slot: DraftSlot): number {
    if (slot.from !== 'chain') return this.#order[slot.at]!.level;
    return Math.max(...this.#chains[slot.chain]!.levels.map(({ at }) => this.#order[at]!.level));
  }

  #lookup(member: Member): number {
    const view = featureViewOf(this.#catalog, member.view);
    const { key } = entityOf(this.#catalog, view.entity);
    let level = 0;
    const keys = member.keys.map((origin: KeyOrigin, i): RequestSlot | DraftSlot => {
      if (origin.from === 'column') {
        this.#keyColumns.set(origin.column, key[i]!.dtype);
        return { from: 'request', column: origin.column };
      }
      const via = featureViewOf(this.#catalog, origin.member.view);
      const slot = this.need(origin.member, featureIndex(via, origin.feature));
      level = Math.max(level, this.#levelOf(slot) + 1);
      return slot;
    });
    const identity = canonicalJson([view.name, keys]);
    let draft = this.#lookups.get(identity);
    if (draft === undefined) {
      draft = { view: view.name, keys, level, features: new Set() };
      this.#lookups.set(identity, draft);
      this.#order.push(draft);
    }
    return this.#order.indexOf(draft);
  }

  /** What an on-demand view uses comes before it, whichever of its features are needed. */
  #computation(view: OnDemandView): number {
    const known = this.#stepOf.get(view.name);
    if (known === -1) {
      throw new SamewiseError('model/cycle', `${view.name} uses itself`, {
        where: { view: view.name },
      });
    }
    if (known !== undefined) return known;
    this.#stepOf.set(view.name, -1);
    for (const member of Object.values(view.uses)) {
      const used = viewOf(this.#catalog, member.view);
      if (used.kind === 'onDemandView') this.#computation(used);
    }
    const at = this.#computations.push({ view, features: new Set() }) - 1;
    this.#stepOf.set(view.name, at);
    return at;
  }

  /** The slot of a name in an on-demand view's expressions: `request.<column>` or `<alias>.<feature>`. */
  #input(view: OnDemandView, name: string): RequestSlot | DraftSlot {
    const dot = name.indexOf('.');
    const alias = name.slice(0, dot);
    const rest = name.slice(dot + 1);
    if (alias === 'request') return { from: 'request', column: rest };
    const member = view.uses[alias];
    assert(member !== undefined, `${view.name} uses ${alias}`);
    return this.need(member, featureIndex(viewOf(this.#catalog, member.view), rest));
  }

  finish(drafted: readonly (Omit<Output, 'from'> & { readonly slot: DraftSlot })[]): ServicePlan {
    const lookedUp = this.#order.map(({ features }) => [...features].sort((a, b) => a - b));
    // Computations that only others' views mention need not run.
    const kept = this.#computations.filter(({ features }) => features.size > 0);
    const computed = kept.map(({ features }) => [...features].sort((a, b) => a - b));
    const stored = ({ at, feature }: StoredSlot): LookupSlot => ({
      from: 'lookup',
      lookup: at,
      index: lookedUp[at]!.indexOf(feature),
    });
    const place = <S extends RequestSlot>(slot: S | DraftSlot): Slot => {
      if (slot.from === 'request' || slot.from === 'chain') return slot;
      if (slot.from === 'lookup') return stored(slot);
      const step = kept.indexOf(this.#computations[slot.at]!);
      return { from: 'computed', step, index: computed[step]!.indexOf(slot.feature) };
    };

    const inChains = this.#chains.flatMap(({ levels }) => levels);
    const lookups = this.#order.map((draft, i): Lookup => {
      const program = compileView(this.#catalog, draft.view);
      const unclear = inChains.some(({ at, feature }) => at === i && isNeverNull(program, feature));
      const features = lookedUp[i]!;
      return {
        program,
        keys: draft.keys.map(place) as KeySlot[],
        features,
        dtypes: features.map((f) => program.view.features[f]!.dtype),
        defaults: features.map((f) => program.defaults[f]!),
        tellsFound: unclear,
        level: draft.level,
      };
    });
    const requestColumns = new Map<string, Dtype>();
    const computations = kept.map(({ view }, step): Computation => {
      const features = computed[step]!.map((f) => view.features[f]!);
      const names = new Set(features.flatMap(({ expr }) => [...columnsOf(expr)]));
      const schema: Field[] = onDemandColumns(view, this.#catalog).filter(({ name }) =>
        names.has(name),
      );
      const inputs = schema.map(({ name, dtype }) => {
        const slot = place(this.#input(view, name));
        if (slot.from === 'request' && !this.#keyColumns.has(slot.column))
          requestColumns.set(slot.column, dtype);
        return { name, slot };
      });
      return {
        view,
        features: computed[step]!,
        program: compile(
          features.map(({ expr }) => expr),
          schema,
        ),
        inputs,
        dtypes: features.map(({ dtype }) => dtype),
        defaults: features.map((feature) => coerce(feature.default, feature.dtype)),
      };
    });
    return {
      keyColumns: fields(this.#keyColumns),
      requestColumns: fields(requestColumns),
      lookups,
      chains: this.#chains.map(({ levels }): Chain => {
        const placed = levels.map(stored);
        const { lookup, index } = placed[0]!;
        const { dtypes, defaults } = lookups[lookup]!;
        return { levels: placed, dtype: dtypes[index]!, default: defaults[index]! };
      }),
      computations,
      outputs: drafted.map(({ slot, ...output }) => ({
        ...output,
        from: place(slot) as Output['from'],
      })),
      depth: lookups.reduce((depth, { level }) => Math.max(depth, level + 1), 0),
    };
  }
}

function fields(columns: ReadonlyMap<string, Dtype>): Schema {
  return [...columns].map(([name, dtype]) => ({ name, dtype }));
}
