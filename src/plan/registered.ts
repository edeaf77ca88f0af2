/** Finding things among registered versions. */
import type { DefinitionKind } from '../model/definitions.ts';
import type { Registered } from '../registry/contract.ts';

/** Registered versions by `kind/name`, in the form of pins. */
export interface RegisteredIndex {
  /** The current version of each object that has one. */
  readonly current: ReadonlyMap<string, Registered>;
  /** Every version of each object, oldest first. */
  readonly versions: ReadonlyMap<string, readonly Registered[]>;
}

/** `kind/name`. */
export function objectKey(object: {
  readonly kind: DefinitionKind;
  readonly name: string;
}): string {
  return `${object.kind}/${object.name}`;
}

// A server asks again and again about what it loaded once.
const indexes = new WeakMap<readonly Registered[], RegisteredIndex>();

/** The index of what `Registry.load` gave; made once for an array, which must not be changed afterwards. */
export function indexOf(registered: readonly Registered[]): RegisteredIndex {
  const known = indexes.get(registered);
  if (known !== undefined) return known;
  const current = new Map<string, Registered>();
  const versions = new Map<string, Registered[]>();
  for (const object of registered) {
    const key = objectKey(object);
    const others = versions.get(key);
    if (others === undefined) versions.set(key, [object]);
    else others.push(object);
    if (object.state === 'current') current.set(key, object);
  }
  for (const list of versions.values()) list.sort((a, b) => a.version - b.version);
  const index = { current, versions };
  indexes.set(registered, index);
  return index;
}
