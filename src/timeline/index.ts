/** The timeline of one entity key: its pages, what changes them, and what reads them. */
export {
  applyChanges,
  nextBlock,
  readPositions,
  type Stored,
  tailOf,
  type Update,
} from './apply.ts';
export { newestArrival } from './arrivals.ts';
export { buildPages, type Pages } from './build.ts';
export { checksumOf } from './codec.ts';
export { dumpEvents, dumpStored } from './dump.ts';
export { evictedHead, isEvicted, newestEvent } from './evicted.ts';
export type { Changes, Events, Layout } from './layout.ts';
export { OpenedPages } from './opened.ts';
export { type Part, partsOf } from './parts.ts';
export { type BlockSource, type Reading, readTimeline } from './read.ts';
export {
  type Knowledge,
  NO_TOMBSTONES,
  type Resolved,
  resolveById,
  resolveHistory,
  type Tombstones,
} from './resolve.ts';
export { sweep } from './sweep.ts';
export { sweepAsServed } from './sweep_as_served.ts';
