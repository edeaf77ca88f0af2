/** From requirements to a technical design, a starter project and manifests: the door of design. */
import { type Capacity, type Load, readLoad } from '../capacity/index.ts';
import type { Catalog } from '../model/index.ts';
import { designOf, POD_CORES } from './choices.ts';
import { DEFAULT_DEPLOYMENT, kubernetesOf } from './deployment.ts';
import { documentOf, type IsBuilt } from './document.ts';
import type { Requirements } from './requirements.ts';
import { starter } from './starter.ts';

export { DEFAULT_DEPLOYMENT, kubernetesOf } from './deployment.ts';
export type { IsBuilt } from './document.ts';
export { type Requirements, readRequirements } from './requirements.ts';
export { starter } from './starter.ts';

/** The load that the requirements amount to, as it stands in the starter project. */
export function loadOf(requirements: Requirements): Load {
  return readLoad(starter(requirements)['load.yaml']!, 'load.yaml');
}

/** What is written beside the starter project; `catalog` is what that defines, `capacity` what it costs under `loadOf`. */
export function documents(
  requirements: Requirements,
  catalog: Catalog,
  capacity: Capacity,
  isBuilt: IsBuilt,
): Readonly<Record<string, string>> {
  const design = designOf(requirements, catalog, capacity);
  const { servingPods, streamPods, partitions, store } = design;
  const streams = new Set(Object.values(requirements.sources).map(({ from }) => from));
  const manifests = kubernetesOf({
    ...DEFAULT_DEPLOYMENT,
    name: requirements.name,
    servingPods,
    streamPods,
    partitions,
    podCores: POD_CORES,
    online:
      store.store === 'redis'
        ? 'redis://redis:6379'
        : store.store === 'lmdb'
          ? 'lmdb:.samewise/online'
          : DEFAULT_DEPLOYMENT.online,
    stream:
      streams.has('kafka') || streams.has('debezium')
        ? DEFAULT_DEPLOYMENT.stream
        : streams.has('kinesis')
          ? 'kinesis:eu-central-1'
          : 'embedded:.samewise/log',
  });
  return { 'design.md': documentOf(design, isBuilt), 'deploy/kubernetes.yaml': manifests };
}
