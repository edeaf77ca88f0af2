/** All that a stored page says, whatever of its blocks has to be fetched for it. */
import type { ViewProgram } from '../model/index.ts';
import type { Head, OnlineStore, PageKey } from '../online/contract.ts';
import { dumpEvents, type Events, type Stored, tailOf } from '../timeline/index.ts';

export interface DumpedPage {
  readonly events: Events;
  /** Null: there is no page. */
  readonly tail: ReturnType<typeof tailOf> | null;
  /** The page with all of its blocks. */
  readonly stored: Stored;
}

/** Throws `timeline/…` for a page that is damaged, and where a block is gone because the page has changed since its head was read. */
export async function dumpPage(
  online: OnlineStore,
  { layout }: ViewProgram,
  page: PageKey,
  head: Head | undefined,
): Promise<DumpedPage> {
  const blocks = new Map<number, Uint8Array | undefined>();
  for (;;) {
    const missing: number[] = [];
    const block = (number: number) => {
      if (!blocks.has(number)) missing.push(number);
      return blocks.get(number);
    };
    const stored = { head: head?.bytes, block };
    try {
      const events = dumpEvents(layout, stored);
      return { events, tail: head === undefined ? null : tailOf(layout, head.bytes), stored };
    } catch (error) {
      if (missing.length === 0) throw error;
      const fetched = await online.blocks(page, missing);
      missing.forEach((number, i) => {
        blocks.set(number, fetched[i]);
      });
    }
  }
}
