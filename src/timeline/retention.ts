/**
 * Retention: raw rows older than the newest row by more than `retentionUs` may be dropped. What lifetime aggregates
 * made of them stays as one base partial each; every other read that would need them is refused.
 */
import { ByteReader } from '../base/bytes.ts';
import { encodeState } from './entries.ts';
import type { Events } from './layout.ts';
import type { Prepared } from './prepare.ts';
import type { Tail } from './tail.ts';

/** Drops the rows of from…to that are too old: the new tail, and where the kept rows begin. */
export function dropOldRows(
  prepared: Prepared,
  tail: Tail,
  events: Events,
  from: number,
  to: number,
): { tail: Tail; kept: number } {
  const { retentionUs } = prepared.layout;
  if (retentionUs === null || from === to) return { tail, kept: from };
  const horizonUs = events.timeUs[to - 1]! - retentionUs;
  let kept = from;
  while (events.timeUs[kept]! < horizonUs) kept++;
  return { tail: kept === from ? tail : dropRows(prepared, tail, events, from, kept), kept };
}

/** The tail after rows from…to, all later than any dropped before, are gone. Tombstones of their times go too. */
export function dropRows(
  prepared: Prepared,
  tail: Tail,
  events: Events,
  from: number,
  to: number,
): Tail {
  const base = prepared.lifetimes.map((a, i) => {
    const aggregate = prepared.aggregates[a]!;
    const state =
      tail.base.length === 0 ? aggregate.create() : aggregate.decode(new ByteReader(tail.base[i]!));
    const input = prepared.inputs[a]!;
    aggregate.add(state, input < 0 ? null : events.columns[input]!, from, to, 'after');
    return encodeState(aggregate, state);
  });
  const droppedUs = events.timeUs[to - 1]!;
  const tombstones = tail.tombstones.filter(({ timeUs }) => timeUs > droppedUs);
  return { ...tail, base, droppedUs, tombstones };
}
