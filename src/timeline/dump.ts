/** All live rows of a timeline, for copying, checking and rebuilding it. */
import type { Stored } from './apply.ts';
import { type HeadView, openAnyHead, openBlock, openHead } from './codec.ts';
import { EntriesView } from './entries.ts';
import type { Events, Layout } from './layout.ts';
import { type Prepared, prepare } from './prepare.ts';
import { joinRuns, noEvents, Runs } from './rows.ts';

/** The rows, sorted by (t, a, id), in buffers of their own. Throws `timeline/evicted-page` where these are not all. */
export function dumpEvents(layout: Layout, stored: Stored): Events {
  if (stored.head === undefined) return noEvents(layout.columns);
  const prepared = prepare(layout);
  return dump(prepared, openHead(prepared, stored.head), stored);
}

/** The rows that are there: of an evicted key those that were applied since. */
export function dumpStored(layout: Layout, stored: Stored): Events {
  if (stored.head === undefined) return noEvents(layout.columns);
  const prepared = prepare(layout);
  return dump(prepared, openAnyHead(prepared, stored.head), stored);
}

function dump(prepared: Prepared, head: HeadView, stored: Stored): Events {
  const parts: Events[] = [];
  const visit = (node: EntriesView): void => {
    for (let i = 0; i < node.length; i++) {
      const number = node.number(i);
      const block = openBlock(
        prepared,
        stored.block(number),
        number,
        node.checksum(i),
        node.level(i),
      );
      if (block instanceof EntriesView) visit(block);
      else parts.push(block.events());
    }
  };
  if (head.root !== null) visit(head.root);
  parts.push(head.open.events());
  const runs = new Runs();
  parts.forEach((part, source) => {
    runs.add(source, 0, part.length);
  });
  return joinRuns(parts, runs);
}
