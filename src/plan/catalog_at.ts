/** Catalogs of what is registered: the current one, and that of one pinned version. */
import { assert, SamewiseError } from '../base/errors.ts';
import {
  type Catalog,
  catalogOf,
  type Definition,
  type DefinitionKind,
  KIND_TITLE,
  suggestion,
  whereOf,
} from '../model/index.ts';
import type { Registered } from '../registry/contract.ts';
import { indexOf, objectKey } from './registered.ts';

/** A registered object; without `version` the current one. */
export interface ObjectRef {
  readonly kind: DefinitionKind;
  readonly name: string;
  readonly version?: number;
}

const currents = new WeakMap<readonly Registered[], Catalog>();

/** All current definitions; made once for what `Registry.load` gave. */
export function currentCatalog(registered: readonly Registered[]): Catalog {
  let catalog = currents.get(registered);
  if (catalog === undefined) {
    catalog = catalogOf([...indexOf(registered).current.values()].map((r) => r.definition));
    currents.set(registered, catalog);
  }
  return catalog;
}

/**
 * The catalog of one version of a service or view: itself and everything it needs, directly or not, at the versions that
 * it pins. Throws `plan/unknown-object` for what is not registered or is retired.
 */
export function catalogAt(registered: readonly Registered[], ref: ObjectRef): Catalog {
  const object = registeredAt(registered, ref);
  const definitions: Definition[] = [object.definition];
  const { versions } = indexOf(registered);
  for (const [key, version] of Object.entries(object.pins)) {
    const pinned = versions.get(key)?.find((other) => other.version === version);
    assert(pinned !== undefined, `${key}@${version} is kept while ${object.name} pins it`);
    definitions.push(pinned.definition);
  }
  return catalogOf(definitions);
}

/** One registered version. Throws `plan/unknown-object`. */
export function registeredAt(registered: readonly Registered[], ref: ObjectRef): Registered {
  const { current, versions } = indexOf(registered);
  const key = objectKey(ref);
  const kept = versions.get(key) ?? [];
  const found =
    ref.version === undefined
      ? current.get(key)
      : kept.find((object) => object.version === ref.version);
  if (found !== undefined) return found;
  const title = KIND_TITLE[ref.kind];
  const names = [...versions.keys()]
    .filter((other) => other.startsWith(`${ref.kind}/`))
    .map((other) => other.slice(ref.kind.length + 1));
  throw new SamewiseError(
    'plan/unknown-object',
    ref.version === undefined
      ? `there is no current ${title} ${JSON.stringify(ref.name)}`
      : `there is no version ${ref.version} of the ${title} ${JSON.stringify(ref.name)}`,
    {
      where: whereOf({ kind: ref.kind, name: ref.name } as Definition),
      hint:
        kept.length === 0
          ? suggestion(ref.name, names)
          : `versions that are kept: ${kept.map((object) => object.version).join(', ')}`,
    },
  );
}
