/**
 * How new the history is that pages of a view over a table were built from. A build takes from a page the traces of rows that have
 * left it, so what a page says of the time before that is not to be believed: who asks for it has to ask history.
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { sha256Hex } from '../base/hash.ts';
import type { InstantUs } from '../base/time.ts';
import type { ViewProgram } from '../model/index.ts';
import type { OnlineStore } from '../online/contract.ts';

/** The view id under which it lies, as a page, for it is changed by compare-and-set. */
export function builtViewOf({ id }: Pick<ViewProgram, 'id'>): string {
  return sha256Hex(`built from history of ${id}`).slice(0, 16);
}

/** Up to which arrival history may be in the view's pages by a build; −∞: there was none. */
export async function readBuilt(
  online: OnlineStore,
  program: Pick<ViewProgram, 'id'>,
): Promise<InstantUs> {
  return (await find(online, program)).untilUs;
}

/** Says, before pages are written, that what arrived up to `untilUs` may be in them. It never says less than before. */
export async function raiseBuilt(
  online: OnlineStore,
  program: Pick<ViewProgram, 'id'>,
  untilUs: InstantUs,
): Promise<void> {
  for (;;) {
    const stored = await find(online, program);
    if (stored.untilUs >= untilUs) return;
    const writer = new ByteWriter(8);
    writer.f64(untilUs);
    const nothing = { putBlocks: new Map(), dropBlocks: [] };
    const [raised] = await online.compareAndSet([
      { ...pageOf(program), expect: stored.version, head: writer.finish(), ...nothing },
    ]);
    if (raised) return;
  }
}

async function find(
  online: OnlineStore,
  program: Pick<ViewProgram, 'id'>,
): Promise<{ untilUs: InstantUs; version: number }> {
  const [head] = await online.heads([pageOf(program)]);
  if (head === undefined) return { untilUs: Number.NEGATIVE_INFINITY, version: 0 };
  return { untilUs: new ByteReader(head.bytes).f64(), version: head.version };
}

function pageOf(program: Pick<ViewProgram, 'id'>) {
  return { view: builtViewOf(program), key: Uint8Array.of(0) };
}
