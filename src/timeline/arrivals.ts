/** When what a timeline holds arrived, without reading the values. */
import type { InstantUs } from '../base/time.ts';
import type { Stored } from './apply.ts';
import { openBlock, openHead } from './codec.ts';
import { EntriesView } from './entries.ts';
import type { Layout } from './layout.ts';
import { prepare } from './prepare.ts';

/** The greatest arrival of the rows and of what was retracted; −∞ where there is nothing. What retention has dropped is not among them. */
export function newestArrival(layout: Layout, stored: Stored): InstantUs {
  if (stored.head === undefined) return Number.NEGATIVE_INFINITY;
  const prepared = prepare(layout);
  const head = openHead(prepared, stored.head);
  let newestUs = head.open.newestArrivalUs();
  for (const { arrivalUs } of head.tail.tombstones) newestUs = Math.max(newestUs, arrivalUs);
  const visit = (node: EntriesView): void => {
    for (let i = 0; i < node.length; i++) {
      const number = node.number(i);
      const page = stored.block(number);
      const block = openBlock(prepared, page, number, node.checksum(i), node.level(i));
      if (block instanceof EntriesView) visit(block);
      else newestUs = Math.max(newestUs, block.newestArrivalUs());
    }
  };
  if (head.root !== null) visit(head.root);
  return newestUs;
}
