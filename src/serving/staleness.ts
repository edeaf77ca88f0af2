/**
 * Features whose promise of freshness is broken while they are served: which values are marked, which are withheld, and when there is no
 * answer. What is known is what those who apply events have last seen (app/sla.ts).
 */
import { formatDuration } from '../base/duration.ts';
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import { columnsOf } from '../expr/index.ts';
import type { Lookup, LookupSlot, ServicePlan, Slot } from '../model/index.ts';
import type { Registered } from '../registry/contract.ts';
import type { LevelOf, ServiceLevel } from '../registry/health_contract.ts';
import { UNSEEN_AFTER_US } from './kept_promise.ts';
import { versionsOf } from './logged_vector.ts';
import type { PageAnswer } from './pages.ts';
import type { ServiceProgram } from './service_program.ts';

/** What of a program is stale. */
export interface StaleParts {
  /** Reads at this time or before see what is there: it had arrived when the pages last kept up. */
  readonly sinceUs: InstantUs;
  /** Positions of outputs that are made from something stale that is served. */
  readonly outputs: readonly number[];
  /** By look-up: positions of features that are withheld; null: none is. */
  readonly withheld: readonly (readonly number[] | null)[];
  /** Why there is no answer; null: there is one. */
  readonly refusal: SamewiseError | null;
}

/** How promises stood when somebody last looked. */
export class Staleness {
  readonly #registered: readonly Registered[];
  readonly #nowUs: InstantUs;
  /** Of each promise that is broken: since when its pages have been behind. */
  readonly #brokenSince = new Map<string, InstantUs>();
  readonly #parts = new Map<ServiceProgram, StaleParts | null>();

  constructor(
    registered: readonly Registered[],
    levels: readonly ServiceLevel[],
    nowUs: InstantUs,
  ) {
    this.#registered = registered;
    this.#nowUs = nowUs;
    for (const level of levels) {
      const { state, lag_ms, lookedUs } = level;
      // Who looked is gone, and with it who applied events.
      if (nowUs - lookedUs > UNSEEN_AFTER_US) this.#brokenSince.set(nameOf(level), lookedUs);
      else if (state === 'stale')
        this.#brokenSince.set(nameOf(level), lookedUs - (lag_ms ?? 0) * 1000);
    }
  }

  /** Whether the same promises are broken. */
  isLike(other: Staleness): boolean {
    const names = [...this.#brokenSince.keys()];
    return (
      names.length === other.#brokenSince.size &&
      names.every((name) => other.#brokenSince.has(name))
    );
  }

  /** What of a program is stale; null: nothing. */
  of(program: ServiceProgram): StaleParts | null {
    if (this.#brokenSince.size === 0) return null;
    let parts = this.#parts.get(program);
    if (parts === undefined) this.#parts.set(program, (parts = this.#partsOf(program)));
    return parts;
  }

  /** What of a read is stale; null: nothing. Throws `serving/stale-feature` where a feature's policy is that there is no answer then. */
  ofRead(program: ServiceProgram, readUs: InstantUs): StaleParts | null {
    const parts = this.of(program);
    if (parts === null || readUs <= parts.sinceUs) return null;
    if (parts.refusal !== null) throw parts.refusal;
    return parts;
  }

  #partsOf({ plan }: ServiceProgram): StaleParts | null {
    let sinceUs = Number.POSITIVE_INFINITY;
    let refusal: SamewiseError | null = null;
    const stale = plan.lookups.map((lookup) =>
      lookup.features.map((feature) => {
        const since = this.#staleSince(lookup, feature);
        if (since === null) return null;
        sinceUs = Math.min(sinceUs, since);
        const policy = lookup.program.view.features[feature]!.whenStale ?? 'serve';
        if (policy === 'fail') refusal ??= this.#refusal(lookup, feature, since);
        return policy;
      }),
    );
    if (sinceUs === Number.POSITIVE_INFINITY) return null;
    const isServed = ({ lookup, index }: LookupSlot) => stale[lookup]![index] === 'serve';
    return {
      sinceUs,
      outputs: [...plan.outputs.keys()].filter((i) =>
        storedIn(plan, plan.outputs[i]!.from).some(isServed),
      ),
      withheld: stale.map((policies) => {
        const withheld = [...policies.keys()].filter((i) => policies[i] === 'null');
        return withheld.length === 0 ? null : withheld;
      }),
      refusal,
    };
  }

  /** Since when a feature has been stale; null: it is not known to be. */
  #staleSince({ program }: Lookup, position: number): InstantUs | null {
    const { view, id } = program;
    const { name, freshnessUs } = view.features[position]!;
    if ((freshnessUs ?? view.freshnessUs) === null) return null;
    const version = versionsOf(this.#registered).get(id) ?? 0;
    const of = { view: view.name, version, feature: freshnessUs === null ? null : name };
    return this.#brokenSince.get(nameOf(of)) ?? null;
  }

  #refusal({ program }: Lookup, position: number, sinceUs: InstantUs): SamewiseError {
    const { view } = program;
    const { name, freshnessUs } = view.features[position]!;
    const promised = formatDuration((freshnessUs ?? view.freshnessUs)!);
    const behind = Math.round((this.#nowUs - sinceUs) / 1000);
    return new SamewiseError(
      'serving/stale-feature',
      `${view.name}:${name} is ${behind} ms behind and promises ${promised}; it is not to be served so`,
      {
        where: { view: view.name, feature: name },
        hint: 'try again when the worker of its source has caught up: samewise stream status tells',
      },
    );
  }
}

/** The stored features that a slot's value may come from. */
function storedIn(plan: ServicePlan, slot: Slot): readonly LookupSlot[] {
  switch (slot.from) {
    case 'request':
      return [];
    case 'lookup':
      return [slot];
    case 'chain':
      return plan.chains[slot.chain]!.levels;
    case 'computed': {
      const { view, features, inputs } = plan.computations[slot.step]!;
      const used = columnsOf(view.features[features[slot.index]!]!.expr);
      return inputs
        .filter(({ name }) => used.has(name))
        .flatMap((input) => storedIn(plan, input.slot));
    }
  }
}

/** What a page answers when some of its features are withheld. */
export function withhold(answer: PageAnswer, withheld: readonly number[]): PageAnswer {
  const values = [...answer.values];
  const statuses = [...answer.statuses];
  for (const i of withheld) {
    values[i] = null;
    statuses[i] = 'STALE';
  }
  return { ...answer, values, statuses, whole: false };
}

function nameOf({ view, version, feature }: LevelOf): string {
  return `${view}@${version}:${feature ?? ''}`;
}
