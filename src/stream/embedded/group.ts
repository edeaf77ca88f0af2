/**
 * Groups of consumers: who reads which partition. A group is one small value, changed in transactions; each member renews
 * its own lease. Nothing depends on it but that work is shared: a member that lost its lease without noticing does what
 * another one does as well, and applying twice is applying once.
 */
import type { InstantUs } from '../../base/time.ts';

/** A member that has not renewed its lease for so long counts as gone. */
export const LEASE_US = 4_000_000;
/** How often leases are renewed. */
export const HEARTBEAT_MS = 1_000;

export interface Group {
  /** Grows with each change of members or owners. */
  readonly version: number;
  readonly nextMember: number;
  /** By id, which is the order of joining. */
  readonly members: readonly { readonly id: number; readonly expiresUs: InstantUs }[];
  /** By partition: the member that reads it, or null. */
  readonly owners: readonly (number | null)[];
}

export const NO_GROUP: Group = { version: 0, nextMember: 0, members: [], owners: [] };

/** The group with one more member, whose id is that of `nextMember` before. */
export function join(group: Group): Group {
  return { ...group, nextMember: group.nextMember + 1 };
}

/** The group without a member. */
export function leave(group: Group, member: number): Group {
  return {
    ...group,
    version: group.version + 1,
    members: group.members.filter(({ id }) => id !== member),
    owners: group.owners.map((owner) => (owner === member ? null : owner)),
  };
}

/** The member that is to read a partition: they take turns by their order of joining. */
export function chosen(group: Group, partition: number): number {
  return group.members[partition % group.members.length]!.id;
}

/**
 * What a member makes of its group now and then: it renews its lease, drops members that have not, gives back the partitions
 * in `released`, and takes those that are meant for it and that nobody has.
 */
export function renew(
  group: Group,
  member: number,
  partitions: number,
  released: ReadonlySet<number>,
  nowUs: InstantUs,
): Group {
  const expiresUs = nowUs + LEASE_US;
  const members = group.members
    .filter(({ id, expiresUs: until }) => id !== member && until > nowUs)
    // A lease of a clock that went back since ends as if it was given now.
    .map(({ id, expiresUs: until }) => ({ id, expiresUs: Math.min(until, expiresUs) }))
    .concat({ id: member, expiresUs })
    .sort((a, b) => a.id - b.id);
  const live = new Set(members.map(({ id }) => id));
  const after: Group = { ...group, members };
  const owners = Array.from({ length: partitions }, (_, partition) => {
    const owner = group.owners[partition] ?? null;
    const kept =
      owner !== null && live.has(owner) && !(owner === member && released.has(partition));
    if (kept) return owner;
    const mine = chosen(after, partition) === member && !released.has(partition);
    return mine ? member : null;
  });
  const same =
    members.length === group.members.length &&
    members.every(({ id }, i) => id === group.members[i]!.id) &&
    owners.length === group.owners.length &&
    owners.every((owner, i) => owner === group.owners[i]);
  return { ...after, owners, version: same ? group.version : group.version + 1 };
}
