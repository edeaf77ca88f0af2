/** Groups of consumers: whatever members join, die, come back and let go, a partition has one owner, and soon the right one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  chosen,
  type Group,
  join,
  LEASE_US,
  leave,
  NO_GROUP,
  renew,
} from '../../src/stream/embedded/group.ts';
import { cases } from '../support/cases.ts';

const NONE: ReadonlySet<number> = new Set();

/** A member gives back what is meant for others and takes what is meant for it. */
function turn(group: Group, member: number, partitions: number, nowUs: number): Group {
  const seen = renew(group, member, partitions, NONE, nowUs);
  const released = new Set(
    seen.owners.flatMap((owner, p) => (owner === member && chosen(seen, p) !== member ? [p] : [])),
  );
  return renew(seen, member, partitions, released, nowUs);
}

test('a partition never passes from one live member to another but through its hands', () => {
  const step = fc.record({
    what: fc.constantFrom('join', 'turn', 'turn', 'turn', 'leave', 'die', 'wake', 'clock', 'skew'),
    which: fc.nat(),
    byUs: fc.integer({ min: 1, max: LEASE_US }),
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(step, { maxLength: 40 }),
      (partitions, steps) => {
        let group = NO_GROUP;
        let nowUs = 0;
        let live: number[] = [];
        const dead: number[] = [];
        for (const { what, which, byUs } of steps) {
          const member = live[which % live.length]!;
          const before = group;
          if (what === 'join') {
            live.push(group.nextMember);
            group = join(group);
            group = turn(group, live.at(-1)!, partitions, nowUs);
          } else if (what === 'clock') nowUs += byUs;
          else if (what === 'skew') nowUs -= byUs;
          else if (what === 'wake') live.push(...dead.splice(-1));
          else if (live.length === 0) continue;
          else if (what === 'turn') group = turn(group, member, partitions, nowUs);
          else {
            live = live.filter((id) => id !== member);
            if (what === 'leave') group = leave(group, member);
            else if (what === 'die') dead.push(member);
          }
          const ids = new Set(group.members.map(({ id }) => id));
          assert.equal(ids.size, group.members.length);
          for (const { expiresUs } of group.members)
            if (what === 'turn')
              assert.ok(expiresUs <= nowUs + LEASE_US, 'no lease outlives a clock');
          for (const [p, owner] of group.owners.entries()) {
            if (owner !== null) assert.ok(ids.has(owner), 'owners are members');
            const was = before.owners[p] ?? null;
            if (was === null || was === owner || what !== 'turn' || was === member) continue;
            const lease = before.members.find(({ id }) => id === was)!;
            assert.ok(lease.expiresUs <= nowUs, 'only of one whose lease has ended');
          }
          if (group.version === before.version) {
            assert.deepEqual(group.owners, before.owners);
            assert.deepEqual(
              group.members.map(({ id }) => id),
              before.members.map(({ id }) => id),
            );
          } else assert.equal(group.version > before.version, true);
        }
        if (live.length === 0) return;
        // A lease after the last change each partition has the owner that it should have, and nothing changes any more.
        nowUs = Math.max(nowUs, ...group.members.map(({ expiresUs }) => expiresUs));
        for (let round = 0; round < 2; round++)
          for (const id of live) group = turn(group, id, partitions, nowUs);
        const sorted = live.toSorted((a, b) => a - b);
        assert.deepEqual(
          group.owners,
          Array.from({ length: partitions }, (_, p) => sorted[p % sorted.length]),
        );
        const { version } = group;
        for (const id of live) group = turn(group, id, partitions, nowUs + 1);
        assert.equal(group.version, version);
      },
    ),
    { numRuns: cases(1_000) },
  );
});
