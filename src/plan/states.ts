/** Which versions live: current, pinned by a service that is kept, or retired. */
import { assert } from '../base/errors.ts';
import type { Registered } from '../registry/contract.ts';
import { indexOf, objectKey } from './registered.ts';

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

/** What a registered version becomes. */
export interface Fate {
  readonly state: Registered['state'];
  readonly pins: Registered['pins'];
}

/**
 * The fate of every registered version, given which versions are current from now on. What a kept service pins takes over
 * that service's pins: its own may name versions that it was current with later, and that are not kept.
 */
export function fatesOf(
  registered: readonly Registered[],
  currentVersions: ReadonlyMap<string, number>,
  kept: readonly Registered[],
): Map<Registered, Fate> {
  const fates = new Map<Registered, Fate>();
  const { versions } = indexOf(registered);
  for (const object of registered) fates.set(object, { state: 'retired', pins: object.pins });
  for (const service of kept) {
    fates.set(service, { state: 'pinned', pins: service.pins });
    for (const [key, version] of Object.entries(service.pins)) {
      const pinned = versions.get(key)?.find((object) => object.version === version);
      assert(pinned !== undefined, `${key}@${version} is kept while ${service.name} pins it`);
      const pins = Object.keys(pinned.pins).map((used) => [used, service.pins[used]!] as const);
      fates.set(pinned, { state: 'pinned', pins: Object.fromEntries(pins) });
    }
  }
  for (const object of registered)
    if (currentVersions.get(objectKey(object)) === object.version)
      fates.set(object, { state: 'current', pins: object.pins });
  return fates;
}
