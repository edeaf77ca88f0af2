/** What a person asks for by name: a service (`fraud_v1`, `fraud_v1@2`) or a list of `view:feature`, with its definitions. */
import { SamewiseError } from '../base/errors.ts';
import type { Catalog, Member } from '../model/definitions.ts';
import { membersFor } from '../model/index.ts';
import { catalogAt, currentCatalog, registeredAt } from '../plan/index.ts';
import type { Registered } from '../registry/contract.ts';

export interface Asked {
  /** The definitions at the versions to use. */
  readonly catalog: Catalog;
  readonly members: readonly Member[];
  /** Null for a list of features. */
  readonly service: { readonly name: string; readonly version: number } | null;
}

/** Throws `plan/unknown-object` for a service, `model/unknown-…` or `model/bad-ref` for a feature that is not registered. */
export function ask(registered: readonly Registered[], what: string): Asked {
  if (what.includes(':')) {
    const catalog = currentCatalog(registered);
    const refs = what.split(',').map((ref) => ref.trim());
    return { catalog, members: membersFor(catalog, refs), service: null };
  }
  const { name, version } = versionedName(what);
  const ref = { kind: 'featureService', name, version } as const;
  const found = registeredAt(registered, ref);
  const catalog = catalogAt(registered, ref);
  return {
    catalog,
    members: catalog.featureServices[name]!.members,
    service: { name, version: found.version },
  };
}

/** Reads `name` or `name@version`. Throws `app/bad-name`. */
export function versionedName(text: string): { name: string; version?: number } {
  const match = /^([A-Za-z][A-Za-z0-9_]*)(?:@(\d{1,9}))?$/.exec(text);
  if (match === null) {
    throw new SamewiseError('app/bad-name', `${JSON.stringify(text)} is not a name`, {
      hint: 'write a name, a name@version, or view:feature,view:feature',
    });
  }
  return { name: match[1]!, ...(match[2] === undefined ? {} : { version: Number(match[2]) }) };
}
