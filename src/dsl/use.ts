/** Uses of views: which features, under which key, under which names. What services and on-demand views are made of. */
import { SamewiseError } from '../base/errors.ts';
import {
  type FeatureView,
  type KeyOrigin,
  type Member,
  type OnDemandView,
  type SourceLookup,
  suggestion,
} from '../model/index.ts';
import type { Dtype } from '../types/dtype.ts';
import { strict } from './columns.ts';
import type { Columns } from './described.ts';
import { type Handle, handle, isHandle } from './handle.ts';

const USE = Symbol.for('samewise.use');
const FEATURE = Symbol.for('samewise.feature');

/** Only for types: nothing has these at run time. */
declare const NEEDED: unique symbol;
declare const GIVEN: unique symbol;

/** One feature of a use of a view: `D` is its type, `I` the request columns that it needs, `N` the name that it comes out under. */
export interface FeatureRef<D extends Dtype, I = any, N = any> {
  readonly [FEATURE]: D;
  readonly [NEEDED]?: I;
  readonly [GIVEN]?: N;
  readonly member: Member;
  readonly feature: string;
}

/** The name of an output: the feature's own, after the use's prefix if it has one. */
type OutputName<A, P> = 0 extends 1 & A
  ? any
  : [A] extends [string]
    ? `${A & string}_${P & string}`
    : P;

/** A use of any view with features `F`, which needs request columns `I` and has the prefix `A`. */
export interface AnyUse<F extends Columns = any, I = any, A = any>
  extends Handle<FeatureView | OnDemandView> {
  readonly [USE]: Member;
  readonly [NEEDED]?: I;
  /** References to the features by name, for `via` and for services; also direct where no method has the name. */
  readonly features: { readonly [P in keyof F]: FeatureRef<F[P], I, OutputName<A, P>> };
}

interface Computed<F extends Columns, I, A> extends AnyUse<F, I, A> {
  /** Only these features. */
  pick<P extends keyof F & string>(...names: readonly P[]): ComputedUse<Pick<F, P>, I, A>;
  /** Outputs are called `prefix_feature`. */
  as<const B extends string>(prefix: B): ComputedUse<F, I, B>;
}

/** Where a use takes each key column from: the name of a request column, or what the feature needs that gives it. */
type Origins<K> = { readonly [P in keyof K]: unknown };
interface Given<I> {
  readonly needs: I;
}
type Own<K> = { readonly [P in keyof K]: P };

type Both<T> = (T extends unknown ? (one: T) => void : never) extends (all: infer A) => void
  ? A
  : never;

/** The request columns of a use with key `K`. */
type Needs<K extends Columns, O extends Origins<K>> = Both<
  {
    [P in keyof K]: O[P] extends Given<infer I>
      ? I
      : O[P] extends string
        ? { readonly [C in O[P]]: K[P] }
        : never;
  }[keyof K]
>;

type NoOthers<C, K> = { readonly [P in Exclude<keyof C, keyof K>]: never };

interface Keyed<K extends Columns, F extends Columns, O extends Origins<K>, A>
  extends AnyUse<F, Needs<K, O>, A> {
  /** Only these features. */
  pick<P extends keyof F & string>(...names: readonly P[]): Use<K, Pick<F, P>, O, A>;
  /** Outputs are called `prefix_feature`. */
  as<const B extends string>(prefix: B): Use<K, F, O, B>;
  /** Takes key columns from label or request columns of another name: `airportStats.on({ airport: 'origin' })`. */
  on<const C extends { readonly [P in keyof K]?: string }>(
    columns: C & NoOthers<C, K>,
  ): Use<K, F, { readonly [P in keyof K]: P extends keyof C ? C[P] : O[P] }, A>;
  /**
   * Takes key columns from features, at the same T: `cityStats.via({ city: profile.city })`. A null there is an unknown
   * entity.
   */
  via<const R extends { readonly [P in keyof K]?: FeatureRef<K[P]> }>(
    features: R & NoOthers<R, K>,
  ): Use<
    K,
    F,
    {
      readonly [P in keyof K]: P extends keyof R
        ? R[P] extends FeatureRef<any, infer I>
          ? Given<I>
          : never
        : O[P];
    },
    A
  >;
}

type Direct<F extends Columns, I, A> = {
  readonly [P in keyof F]: FeatureRef<F[P], I, OutputName<A, P>>;
};

/** A use of a feature view over an entity with key `K`; `O` says where the key comes from, `A` what outputs begin with. */
export type Use<
  K extends Columns,
  F extends Columns,
  O extends Origins<K> = Own<K>,
  A = null,
> = Keyed<K, F, O, A> & Omit<Direct<F, Needs<K, O>, A>, keyof Keyed<K, F, O, A>>;

/** A use of an on-demand view, which needs request columns `I`. */
export type ComputedUse<F extends Columns, I = any, A = null> = Computed<F, I, A> &
  Omit<Direct<F, I, A>, keyof Computed<F, I, A>>;

/** The request columns that something used needs. */
type NeedsOf<U> =
  U extends FeatureRef<any, infer I> ? I : U extends AnyUse<any, infer I> ? I : never;
/** The outputs that something used gives, by their names. */
type GivesOf<U> =
  U extends FeatureRef<infer D, any, infer N>
    ? { readonly [P in N & string]: D }
    : U extends AnyUse<any>
      ? {
          readonly [P in keyof U['features'] as U['features'][P] extends FeatureRef<
            any,
            any,
            infer N
          >
            ? N & string
            : never]: U['features'][P] extends FeatureRef<infer D> ? D : never;
        }
      : never;

type Flat<T> = { readonly [P in keyof T]: T[P] };

/** Columns that a request brings for all of some things used. */
export type RequestOf<U extends readonly unknown[]> = Flat<Both<NeedsOf<U[number]>>>;
/** What all of some things used give, by output. */
export type OutputsOf<U extends readonly unknown[]> = Flat<Both<GivesOf<U[number]>>>;

/** The features of a use, by name. */
export type FeaturesOf<U> = U extends AnyUse<infer F extends Columns> ? F : never;

/** A view used under its own keys, with all its features. `key` names the entity's key columns. */
export function useOf(
  view: FeatureView | OnDemandView,
  needs: readonly Handle[],
  key: readonly string[],
): any {
  const keys: KeyOrigin[] = key.map((column) => ({ from: 'column', column }));
  return build(view, needs, key, { view: view.name, features: null, keys, as: null });
}

function build(
  view: FeatureView | OnDemandView,
  needs: readonly Handle[],
  key: readonly string[],
  member: Member,
): unknown {
  const again = (change: Partial<Member>, more: readonly Handle[] = []) =>
    build(view, [...needs, ...more], key, { ...member, ...change });
  const names = member.features ?? view.features.map(({ name }) => name);
  const where = { view: view.name };
  const unknown = (feature: string): never => {
    throw new SamewiseError(
      'model/unknown-feature',
      `${view.name} has no feature ${JSON.stringify(feature)} here`,
      { where: { ...where, feature }, hint: suggestion(feature, names) },
    );
  };

  const methods: Record<string, unknown> = {
    pick: (...picked: string[]) => {
      for (const name of picked) if (!names.includes(name)) unknown(name);
      return again({ features: picked });
    },
    as: (prefix: string) => again({ as: prefix }),
  };
  /** The member's keys with some replaced, by the name of the key column. */
  const rekeyed = (
    change: Readonly<Record<string, unknown>>,
    origin: (v: unknown) => KeyOrigin,
  ) => {
    for (const name of Object.keys(change)) {
      if (key.includes(name)) continue;
      throw new SamewiseError(
        'model/bad-keys',
        `${view.name} has no key column ${JSON.stringify(name)}`,
        { where, hint: suggestion(name, key) },
      );
    }
    return member.keys.map((before, i) => {
      const name = key[i]!;
      return Object.hasOwn(change, name) ? origin(change[name]) : before;
    });
  };
  if (view.kind === 'featureView') {
    methods.on = (columns: Record<string, string>) =>
      again({ keys: rekeyed(columns, (column) => ({ from: 'column', column: String(column) })) });
    methods.via = (refs: Record<string, FeatureRef<any>>) => {
      const keys = rekeyed(refs, (ref) => {
        if (!isFeatureRef(ref)) {
          throw new SamewiseError(
            'model/unknown-feature',
            'via(…) needs a feature of a view: that one is not there',
            { where, hint: 'write it like cityStats.via({ city: profile.features.city })' },
          );
        }
        return {
          from: 'feature',
          member: { ...ref.member, features: [ref.feature], as: null },
          feature: ref.feature,
        };
      });
      return again({ keys }, Object.values(refs).map(ownerOf));
    };
  }

  const use: Record<string | symbol, unknown> = { ...methods, [USE]: member };
  const dtypes = new Map(view.features.map(({ name, dtype }) => [name, dtype]));
  const refs: Record<string, FeatureRef<any>> = {};
  for (const name of names) {
    refs[name] = Object.freeze({
      [FEATURE]: dtypes.get(name)!,
      [OWNER]: use as unknown as AnyUse,
      member,
      feature: name,
    });
    if (!Object.hasOwn(use, name) && name !== 'features') use[name] = refs[name];
  }
  use.features = strict(refs, unknown);
  return handle(use, view, needs);
}

const OWNER = Symbol.for('samewise.owner');

/** The use that a reference belongs to. */
function ownerOf(ref: FeatureRef<any>): AnyUse {
  return (ref as unknown as { [OWNER]: AnyUse })[OWNER];
}

export function isFeatureRef(value: unknown): value is FeatureRef<any> {
  return value !== null && typeof value === 'object' && FEATURE in value;
}

/**
 * The lookup that a feature reference stands for, and its handle. Throws `dsl/not-a-feature`, and `model/nested-lookup` for
 * a key that is a feature itself.
 */
export function lookupOf(
  name: string,
  ref: FeatureRef<any>,
): { readonly lookup: SourceLookup; readonly needs: Handle } {
  if (!isFeatureRef(ref)) {
    throw new SamewiseError('dsl/not-a-feature', `${String(ref)} is not a feature of a view`, {
      hint: "write it like profile.on({ user_id: 'customer_id' }).features.city",
    });
  }
  const { view, keys } = ref.member;
  const columns = keys.map((origin) => {
    if (origin.from === 'column') return origin.column;
    throw new SamewiseError('model/nested-lookup', `its key ${origin.feature} is looked up too`, {
      hint: "take the key from one of the source's own columns",
    });
  });
  const lookup = { name, dtype: ref[FEATURE], view, feature: ref.feature, keys: columns };
  return { lookup, needs: ownerOf(ref) };
}

/** What may be named where features are wanted: a view, a use of it, or one of its features. */
export type Used = AnyUse | FeatureRef<any>;

/** The member that a view, use or feature reference stands for, and its handle. */
export function memberOf(used: Used): { readonly member: Member; readonly needs: Handle } {
  if (isFeatureRef(used))
    return { member: { ...used.member, features: [used.feature] }, needs: ownerOf(used) };
  if (isHandle(used) && USE in used) return { member: used[USE], needs: used };
  throw new SamewiseError('dsl/not-a-view', `${String(used)} is neither a view nor a feature`, {
    hint: 'pass a featureView, an onDemandView, or features of them',
  });
}
