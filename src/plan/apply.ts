/** Making plans from a registry, and carrying them out. */
import type { Clock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import type { Catalog } from '../model/index.ts';
import type { Registry, Revision } from '../registry/contract.ts';
import { withFacts } from './backfills.ts';
import { registeredAt } from './catalog_at.ts';
import { planChanges, removalOf } from './changes.ts';
import type { Plan, SourceFacts } from './plan.ts';
import { indexOf } from './registered.ts';
import { fatesOf, keptServices } from './states.ts';
import { objectsToStore } from './store.ts';

/** Who does it, why, and when. */
export interface Signature {
  readonly author: string;
  readonly message: string;
  readonly clock: Clock;
}

/** How to learn of a source without reading it whole; both may take a while and may not know. */
export interface Surveyor {
  readonly estimate?: (source: string) => Promise<{ readonly rows: number | null }>;
  readonly sample?: (source: string) => Promise<SourceFacts['sample']>;
}

/** The plan from the registry as it is now, with estimates of what `survey` can tell. Throws as `planChanges`. */
export async function preparePlan(
  registry: Registry,
  catalog: Catalog,
  survey: Surveyor = {},
): Promise<Plan> {
  // The head first: if another writer comes in between, the plan is refused rather than wrong.
  const head = await registry.head();
  const plan = planChanges(await registry.load({ retired: true }), catalog, { head });
  const facts: Record<string, SourceFacts> = {};
  for (const source of new Set(plan.backfills.map((backfill) => backfill.source))) {
    const sampled = catalog.sources[source]!.eventId === null ? survey.sample : undefined;
    facts[source] = {
      rows: (await survey.estimate?.(source))?.rows ?? null,
      sample: (await sampled?.(source)) ?? null,
    };
  }
  return withFacts(plan, catalog, facts);
}

/**
 * Carries a plan out, all of it or nothing; a plan without changes does nothing and gives null.
 * Throws `registry/stale-plan` if the registry has moved on since the plan was made.
 */
export async function applyPlan(
  registry: Registry,
  plan: Plan,
  { author, message, clock }: Signature,
): Promise<Revision | null> {
  if (plan.changes.length === 0) return null;
  return registry.apply({
    expectedHead: plan.expectedHead,
    author,
    message,
    atUs: clock.nowUs(),
    changes: plan.changes.map(({ touches: _, ...change }) => change),
    objects: plan.objects,
  });
}

/**
 * Ends an older version of a service: it is no longer served, and what only it needed is no longer kept fresh.
 * Throws `plan/unknown-object`, and `plan/not-kept` for the current version (which ends with its definition).
 */
export async function retire(
  registry: Registry,
  kind: 'featureService',
  name: string,
  version: number,
  { author, message, clock }: Signature,
): Promise<Revision> {
  const expectedHead = await registry.head();
  const registered = await registry.load();
  const object = registeredAt(registered, { kind, name, version });
  if (object.state !== 'pinned') {
    throw new SamewiseError('plan/not-kept', `${name}@${version} is the current version`, {
      where: { service: name },
      hint: 'remove or change its definition and apply; then older versions can be retired',
    });
  }
  const current = indexOf(registered).current;
  const versions = new Map([...current].map(([key, other]) => [key, other.version]));
  const kept = keptServices(registered, versions, object);
  return registry.apply({
    expectedHead,
    author,
    message,
    atUs: clock.nowUs(),
    changes: [removalOf(object)],
    objects: objectsToStore(registered, current, fatesOf(registered, versions, kept)),
  });
}
