/** RegistryService: what is registered, as messages. */
import type { ServiceImpl } from '@connectrpc/connect';
import type { Catalog, FeatureView, OnDemandView } from '../../model/definitions.ts';
import { featureIndex, lineageOf, parseRef, printRef, viewOf } from '../../model/index.ts';
import type { Registered } from '../../registry/contract.ts';
import type { Schema } from '../../types/batch.ts';
import { printDtype } from '../../types/dtype.ts';
import type { Context } from '../context.ts';
import type { Revision } from '../definitions.ts';
import type { RegistryService } from './gen/samewise/v1/registry_pb.ts';

/** Most features that a search finds. */
const MAX_FOUND = 1_000;
const FOUND_UNLESS_TOLD = 100;

export function registryService({
  registry,
  definitions,
}: Pick<Context, 'registry' | 'definitions'>): ServiceImpl<typeof RegistryService> {
  return {
    async searchFeatures({ query, entity, owner, tag, limit }) {
      const filter = {
        entity: entity || undefined,
        owner: owner || undefined,
        tag: tag || undefined,
      };
      const most = Math.min(limit || FOUND_UNLESS_TOLD, MAX_FOUND);
      const hits = await registry.search(query, filter, most);
      return { features: hits.map(({ feature, ...hit }) => ({ ...hit, name: feature })) };
    },
    async getFeature({ ref }) {
      const { catalog, registered } = await definitions.newest();
      const { view: viewName, feature: name } = parseRef(ref);
      const view = viewOf(catalog, viewName);
      const feature = view.features[featureIndex(view, name)]!;
      const { sources, request, features, entities, usedByFeatures, usedByServices, models } =
        lineageOf(catalog, printRef(view.name, name));
      return {
        feature: {
          ref: printRef(view.name, name),
          view: view.name,
          name,
          entity: entityOf(view),
          dtype: printDtype(feature.dtype),
          description: feature.description,
          owner: view.owner,
          tags: { ...view.tags, ...feature.tags },
          version: versionOf(view, registered),
        },
        definitionJson: JSON.stringify(feature),
        lineage: {
          sources: sources.map(({ source, columns }) => ({ source, columns: [...columns] })),
          request: [...request],
          features: [...features],
          entities: [...entities],
          usedByFeatures: [...usedByFeatures],
          usedByServices: [...usedByServices],
          models: [...models],
        },
      };
    },
    async listViews() {
      const { catalog, registered } = await definitions.newest();
      const views = viewsOf(catalog).map((view) => ({
        name: view.name,
        onDemand: view.kind === 'onDemandView',
        entity: entityOf(view),
        source: view.kind === 'featureView' ? view.source : '',
        description: view.description,
        owner: view.owner,
        tags: { ...view.tags },
        version: versionOf(view, registered),
        features: fields(view.features),
      }));
      return { views };
    },
    async listServices() {
      const revision = await definitions.newest();
      const services = revision.registered
        .filter(({ kind }) => kind === 'featureService')
        .map(({ name, version }) => serviceOf(revision, `${name}@${version}`))
        .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version - b.version));
      return { services };
    },
    async getService({ service }) {
      return { service: serviceOf(await definitions.newest(), service) };
    },
  };
}

function viewsOf({ featureViews, onDemandViews }: Catalog): (FeatureView | OnDemandView)[] {
  return [...Object.values(featureViews), ...Object.values(onDemandViews)].sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

function entityOf(view: FeatureView | OnDemandView): string {
  return view.kind === 'featureView' ? view.entity : '';
}

function versionOf(
  { kind, name }: FeatureView | OnDemandView,
  registered: readonly Registered[],
): number {
  return registered.find(
    (each) => each.kind === kind && each.name === name && each.state === 'current',
  )!.version;
}

function serviceOf(revision: Revision, ref: string) {
  const { plan, name, version } = revision.service(ref).program;
  const { definition, state } = revision.registered.find(
    (each) => each.kind === 'featureService' && each.name === name && each.version === version,
  )!;
  return {
    name,
    version,
    current: state === 'current',
    model: definition.kind === 'featureService' ? (definition.model ?? '') : '',
    description: definition.description,
    owner: definition.owner,
    keys: fields(plan.keyColumns),
    request: fields(plan.requestColumns),
    features: fields(plan.outputs),
  };
}

function fields(schema: Schema): { name: string; dtype: string }[] {
  return schema.map(({ name, dtype }) => ({ name, dtype: printDtype(dtype) }));
}
