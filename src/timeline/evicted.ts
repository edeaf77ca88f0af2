/**
 * Evicted keys: the events of a key that nothing happened to for long lie in history alone, and a head without them stays. It says how
 * far the page had come in the log, so that nothing is counted twice or forgotten when the page is built again; and what is applied
 * meanwhile is kept in it. It cannot be read: whoever opens it for its values is told `timeline/evicted-page`.
 */
import type { InstantUs } from '../base/time.ts';
import { encodeHead, isEvicted, openAnyHead } from './codec.ts';
import type { Layout } from './layout.ts';
import { prepare } from './prepare.ts';
import { noEvents } from './rows.ts';
import { NO_TAIL } from './tail.ts';

/** What stays of a key's head. All of its blocks are to be dropped. */
export function evictedHead(layout: Layout, head: Uint8Array): Uint8Array {
  const prepared = prepare(layout);
  const { nextBlock, tail } = openAnyHead(prepared, head);
  const { positions } = tail;
  const nothing = noEvents(layout.columns);
  return encodeHead(prepared, nextBlock, [], nothing, 0, 0, { ...NO_TAIL, positions }, true);
}

/** When the newest event in a head's page happened; −∞ if it holds none. */
export function newestEvent(layout: Layout, head: Uint8Array): InstantUs {
  const { root, open, tail } = openAnyHead(prepare(layout), head);
  if (open.length > 0) return open.timeUs(open.length - 1);
  return root === null ? tail.droppedUs : root.maxUs(root.length - 1);
}

export { isEvicted };
