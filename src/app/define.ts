/** Definitions into the registry: the project's own, and single SQL features that come over HTTP. */
import type { Catalog } from '../model/definitions.ts';
import { catalogOf, definitionsOf } from '../model/index.ts';
import { applyPlan, currentCatalog, type Plan, preparePlan } from '../plan/index.ts';
import type { Revision } from '../registry/contract.ts';
import type { DefineFeature } from '../serving/index.ts';
import { DEFINED_BY } from '../serving/sql_feature.ts';
import type { App } from './open.ts';

/** What applying the project's definitions would do. */
export async function planProject(app: App): Promise<Plan> {
  const own = await app.definitions();
  const registered = await app.registry.load();
  const known = new Set(definitionsOf(own).map(({ kind, name }) => `${kind}/${name}`));
  // What was defined over HTTP lives in the registry alone; the project's definitions leave it be.
  const kept = definitionsOf(currentCatalog(registered)).filter(
    ({ kind, name, tags }) =>
      tags.defined_by === DEFINED_BY.defined_by && !known.has(`${kind}/${name}`),
  );
  const catalog = catalogOf([...definitionsOf(own), ...kept]);
  return preparePlan(app.registry, catalog, surveyor(app, catalog));
}

/** Carries a plan out; null where there was nothing to do. */
export function applyProject(
  app: App,
  plan: Plan,
  { message = '', author }: { readonly message?: string; readonly author?: string },
): Promise<Revision | null> {
  return applyPlan(app.registry, plan, {
    author: author ?? app.config.author,
    message,
    clock: app.clock,
  });
}

/** Plans and applies a source and its view beside what is registered. */
export function featureDefiner(app: App): DefineFeature {
  return async ({ source, view }, author) => {
    const registered = await app.registry.load();
    const beside = definitionsOf(currentCatalog(registered)).filter(
      ({ kind, name }) =>
        !(kind === 'source' && name === source.name) &&
        !(kind === 'featureView' && name === view.name),
    );
    const catalog = catalogOf([...beside, source, view]);
    const plan = await preparePlan(app.registry, catalog);
    await applyPlan(app.registry, plan, {
      author,
      message: `feature ${view.name}`,
      clock: app.clock,
    });
    const now = await app.registry.get('featureView', view.name);
    const created = plan.changes.some(
      (change) =>
        change.kind === 'featureView' && change.name === view.name && change.change === 'create',
    );
    return { version: now!.version, created };
  };
}

function surveyor(app: App, catalog: Catalog) {
  return { estimate: (source: string) => app.offline.estimate(catalog, source) };
}
