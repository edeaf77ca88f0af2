/** Which versions live: current, pinned by a service that is kept, or retired. */
import type { Registered } from '../registry/contract.ts';
import { indexOf, objectKey } from './registered.ts';

type State = Registered['state'];

/** Services that go on being served beside the current ones: older versions that nobody retired. */
export function keptServices(
  registered: readonly Registered[],
  currentVersions: ReadonlyMap<string, number>,
  retiring: Registered | null = null,
): Registered[] {
  return registered.filter((object) => {
    if (object.kind !== 'featureService' || object === retiring) return false;
    if (object.state === 'retired') return false;
    const version = currentVersions.get(objectKey(object));
    if (version === object.version) return false;
    // A service that is no longer defined ends with its current version; older ones end when they are retired.
    return object.state === 'pinned' || version !== undefined;
  });
}

/** The state of every registered version, given which versions are current from now on. */
export function nextStates(
  registered: readonly Registered[],
  currentVersions: ReadonlyMap<string, number>,
  kept: readonly Registered[],
): Map<Registered, State> {
  const states = new Map<Registered, State>();
  const { versions } = indexOf(registered);
  for (const object of registered) states.set(object, 'retired');
  for (const service of kept) {
    states.set(service, 'pinned');
    for (const [key, version] of Object.entries(service.pins)) {
      const pinned = versions.get(key)?.find((object) => object.version === version);
      if (pinned !== undefined) states.set(pinned, 'pinned');
    }
  }
  for (const object of registered)
    if (currentVersions.get(objectKey(object)) === object.version) states.set(object, 'current');
  return states;
}
