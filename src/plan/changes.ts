/** Comparing the definitions with what is registered: version by version, by the fingerprints of their meaning. */
import { SamewiseError } from '../base/errors.ts';
import {
  type Catalog,
  type Definition,
  definitionsOf,
  dependenciesOf,
  findDefinition,
  fingerprint,
  printDefinitionRef,
  referencesOf,
  validateCatalog,
} from '../model/index.ts';
import type { Change, Registered } from '../registry/contract.ts';
import { backfillsOf } from './backfills.ts';
import { refuseUsedByDefinitions, refuseUsedByKept } from './in_use.ts';
import type { Plan } from './plan.ts';
import { diffDefinitions, type FieldChange } from './readable.ts';
import { indexOf, objectKey } from './registered.ts';
import { fatesOf, keptServices } from './states.ts';
import { objectsToStore, sameDefinition, type ToStore } from './store.ts';
import { touchedBy, usersIn } from './touched.ts';
import { warningsOf } from './warnings.ts';

/**
 * What applying `catalog` would do to a registry whose every version, retired ones included, is `registered` at revision
 * `head`. A meaning that was there before becomes its old version again. Estimates are not in it: see `withFacts`.
 * Throws `plan/in-use` when something is removed that the definitions or a service that is kept still need, and what
 * `validateCatalog` throws.
 */
export function planChanges(
  registered: readonly Registered[],
  catalog: Catalog,
  { head }: { readonly head: number },
): Plan {
  const { current } = indexOf(registered);
  const removed = [...current.values()].filter(
    ({ kind, name }) => findDefinition(catalog, kind, name) === undefined,
  );
  // Said before anything else, because to validation a removal looks like an unknown name.
  refuseUsedByDefinitions(removed, catalog);
  validateCatalog(catalog);
  const desired = desiredVersions(registered, catalog);
  const versions = new Map([...desired].map(([key, object]) => [key, object.version]));
  const kept = keptServices(registered, versions);
  refuseUsedByKept(removed, kept);

  const changes: Change[] = [];
  for (const object of desired.values()) {
    const change = changeOf(current.get(objectKey(object)), object, catalog);
    if (change !== null) changes.push(change);
  }
  // What uses others goes before them: it needs all that they need, and them.
  const needs = ({ pins }: Registered) => Object.keys(pins).length;
  changes.push(...removed.toSorted((a, b) => needs(b) - needs(a)).map(removalOf));
  const users = usersIn(catalog);
  const changed = new Set(
    changes.filter(({ change }) => change !== 'describe').map(printDefinitionRef),
  );
  return {
    expectedHead: head,
    changes: changes.map((change) => ({ ...change, touches: touchedBy(change, users, changed) })),
    backfills: backfillsOf(desired.values(), registered, catalog),
    warnings: warningsOf(changes, kept, current, catalog),
    objects: objectsToStore(registered, desired, fatesOf(registered, versions, kept)),
  };
}

/** Each definition with its version, its fingerprint and the versions of all that it needs. */
function desiredVersions(
  registered: readonly Registered[],
  catalog: Catalog,
): Map<string, ToStore> {
  const { versions } = indexOf(registered);
  const desired = new Map<string, ToStore>();
  for (const definition of neededFirst(catalog)) {
    const { kind, name } = definition;
    const key = objectKey(definition);
    const hash = fingerprint(definition, catalog);
    const before = versions.get(key) ?? [];
    const version =
      before.find((object) => object.fingerprint === hash)?.version ??
      (before.at(-1)?.version ?? 0) + 1;
    desired.set(key, {
      kind,
      name,
      version,
      fingerprint: hash,
      definition,
      pins: {},
      state: 'current',
    });
  }
  for (const [key, object] of desired) {
    const pins = dependenciesOf(object.definition, catalog).map((ref) => {
      const pin = printDefinitionRef(ref);
      return [pin, desired.get(pin)!.version] as const;
    });
    desired.set(key, { ...object, pins: Object.fromEntries(pins) });
  }
  return desired;
}

/** All definitions, each after what it needs: a source comes after the views that it looks up. */
function neededFirst(catalog: Catalog): Iterable<Definition> {
  const found = new Set<Definition>();
  for (const definition of definitionsOf(catalog)) {
    for (const { kind, name } of dependenciesOf(definition, catalog))
      found.add(findDefinition(catalog, kind, name)!);
    found.add(definition);
  }
  return found;
}

function changeOf(before: Registered | undefined, after: ToStore, catalog: Catalog): Change | null {
  const fields =
    before !== undefined && sameDefinition(before.definition, after.definition)
      ? []
      : diffDefinitions(before?.definition ?? null, after.definition);
  const change = (kind: Change['change'], more: readonly FieldChange[] = []): Change => ({
    change: kind,
    kind: after.kind,
    name: after.name,
    before: before?.version ?? null,
    after: after.version,
    fields: [...fields, ...more],
  });
  if (before === undefined) return change('create');
  if (before.version === after.version) return fields.length === 0 ? null : change('describe');
  return change('new-version', usedChanges(before, after, catalog));
}

/** What the object refers to and now means something else to it, as fields. */
function usedChanges(before: Registered, after: ToStore, catalog: Catalog): FieldChange[] {
  if (meaningHere(before, catalog) === before.fingerprint) return [];
  return referencesOf(after.definition, catalog).flatMap((ref) => {
    const key = printDefinitionRef(ref);
    const was = before.pins[key];
    const is = after.pins[key]!;
    return was === undefined || was === is
      ? []
      : [{ path: `pins.${key}`, before: `version ${was}`, after: `version ${is}` }];
  });
}

/** The fingerprint that the registered definition would have among the desired ones. */
function meaningHere({ definition, fingerprint: was }: Registered, catalog: Catalog): string {
  try {
    return fingerprint(definition, catalog);
  } catch (error) {
    // It refers to something that is gone; that the definition no longer does is among its own fields.
    if (error instanceof SamewiseError) return was;
    throw error;
  }
}

/** The change that takes an object's version out of the current ones. */
export function removalOf({ kind, name, version, definition }: Registered): Change {
  const fields = diffDefinitions(definition, null);
  return { change: 'remove', kind, name, before: version, after: null, fields };
}
