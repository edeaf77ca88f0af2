/** Bulk build: the pages of one key from its resolved events. */
import { BlockMaker, LIMITS, type Limits } from './blocks.ts';
import { encodeHead } from './codec.ts';
import type { Entry } from './entries.ts';
import type { Events, Layout } from './layout.ts';
import { prepare } from './prepare.ts';
import { dropOldRows } from './retention.ts';
import { rowSizes } from './row_sizes.ts';
import { NO_TAIL, type Tombstone } from './tail.ts';

export interface Pages {
  readonly head: Uint8Array;
  readonly blocks: Map<number, Uint8Array>;
}

/**
 * Rows from…to of `events` are one key's, resolved (see resolve.ts) and sorted by (t, a, id). Blocks are numbered from
 * `firstBlock` on: who replaces a stored head begins at its `nextBlock`, so that no reader meets two blocks of one number.
 * `tombstones` are the key's, as `resolveHistory` gives them: what was retracted stays so when it is delivered again.
 * `positions` are kept in the head (see `readPositions`).
 */
export function buildPages(
  layout: Layout,
  events: Events,
  from: number,
  to: number,
  limits: Limits = LIMITS,
  firstBlock = 1,
  tombstones: readonly Tombstone[] = [],
  positions: ReadonlyMap<string, bigint> = NO_TAIL.positions,
): Pages {
  const prepared = prepare(layout);
  const bare = tombstones.length === 0 && positions.size === 0;
  const whole = bare ? NO_TAIL : { ...NO_TAIL, tombstones, positions };
  const { tail, kept } = dropOldRows(prepared, whole, events, from, to);
  const maker = new BlockMaker(prepared, limits, firstBlock);
  const root: Entry[] = [];
  const open = maker.seal(events, rowSizes(events, kept, to), kept, to, root);
  const packed = maker.pack(root);
  const head = encodeHead(prepared, maker.nextBlock, packed, events, open, to, tail);
  return { head, blocks: maker.put };
}
