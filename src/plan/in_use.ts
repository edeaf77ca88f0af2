/** Refusing to remove what something still needs. */
import { SamewiseError } from '../base/errors.ts';
import {
  type Catalog,
  type Definition,
  type DefinitionKind,
  definitionsOf,
  findView,
  KIND_TITLE,
  type Member,
} from '../model/index.ts';
import type { Registered } from '../registry/contract.ts';
import { objectKey } from './registered.ts';

/** How many users an error names. */
const SHOWN = 10;

/** Throws `plan/in-use`, naming the users, if a definition still names what is removed. */
export function refuseUsedByDefinitions(removed: readonly Registered[], catalog: Catalog): void {
  if (removed.length === 0) return;
  const users = usersOf(removed);
  for (const definition of definitionsOf(catalog))
    for (const key of namesUsed(definition, catalog))
      users.get(key)?.push(`${KIND_TITLE[definition.kind]} ${definition.name}`);
  refuse(removed, users);
}

/** Throws `plan/in-use`, naming the services, if one that is kept pins any version of what is removed. */
export function refuseUsedByKept(
  removed: readonly Registered[],
  kept: readonly Registered[],
): void {
  const users = usersOf(removed);
  for (const service of kept)
    for (const key of Object.keys(service.pins))
      users.get(key)?.push(`${service.name}@${service.version}, which is still served`);
  refuse(removed, users);
}

function usersOf(removed: readonly Registered[]): Map<string, string[]> {
  return new Map(removed.map((object) => [objectKey(object), []]));
}

function refuse(removed: readonly Registered[], users: ReadonlyMap<string, string[]>): void {
  const inUse = removed.filter((object) => users.get(objectKey(object))!.length > 0);
  if (inUse.length === 0) return;
  const lines = inUse.map((object) => {
    const names = users.get(objectKey(object))!;
    const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
    const title = KIND_TITLE[object.kind];
    return `the ${title} ${object.name} is used by ${names.slice(0, SHOWN).join(', ')}${more}`;
  });
  throw new SamewiseError(
    'plan/in-use',
    `what is still used cannot be removed: ${lines.join('; ')}`,
    {
      where: whereOf(inUse[0]!),
      hint: 'keep the definition, or first change what uses it and retire the service versions that are still served',
    },
  );
}

function whereOf({ kind, name }: Registered) {
  if (kind === 'entity' || kind === 'source') return { [kind]: name };
  return kind === 'featureService' ? { service: name } : { view: name };
}

/** `kind/name` of all that a definition names but the catalog does not have; a view that is gone may be of either kind. */
function namesUsed(definition: Definition, catalog: Catalog): string[] {
  const names: string[] = [];
  const addMember = (member: Member): void => {
    const kinds: DefinitionKind[] = ['featureView', 'onDemandView'];
    if (findView(catalog, member.view) === undefined)
      for (const kind of kinds) names.push(`${kind}/${member.view}`);
    for (const origin of member.keys) if (origin.from === 'feature') addMember(origin.member);
  };
  switch (definition.kind) {
    case 'featureView':
      names.push(`entity/${definition.entity}`, `source/${definition.source}`);
      for (const { fallbacks = [] } of definition.features)
        for (const { member } of fallbacks) addMember(member);
      break;
    case 'source':
      names.push(...definition.lookups.map(({ view }) => `featureView/${view}`));
      break;
    case 'onDemandView':
      Object.values(definition.uses).forEach(addMember);
      break;
    case 'featureService':
      definition.members.forEach(addMember);
      break;
    default:
  }
  return [...new Set(names)];
}
