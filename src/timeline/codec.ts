/**
 * Pages: what the online store keeps. All little-endian; sections begin at multiples of 8.
 *
 * | bytes | |
 * |---|---|
 * | 0–3 | xxHash32 of all that follows |
 * | 4 | format, 1 |
 * | 5 | kind: 1 head, 2 leaf block, 3 index block, 4 head of an evicted key |
 * | 6–7 | zero |
 * | 8–11 | fingerprint of the layout |
 * | 12–15 | a block's own number; in a head the next number to give |
 * | head: 16–19, 20–23 | where the open rows and where the tail begin; the root's entries begin at 24 |
 *
 * A leaf is a section of rows, an index block one of entries, a head both (entries only where there are blocks) and a tail
 * of what most keys do not have: retention, tombstones, log positions (see tail.ts).
 */
import { SamewiseError } from '../base/errors.ts';
import { xxh32 } from './checksum.ts';
import type { PageBytes } from './column_codec.ts';
import { EntriesView, type Entry, writeEntries } from './entries.ts';
import type { Events } from './layout.ts';
import type { OpenedPages } from './opened.ts';
import { PageBuffer } from './page_buffer.ts';
import type { Prepared } from './prepare.ts';
import { RowsView, writeRows } from './rows_codec.ts';
import { NO_TAIL, readTail, type Tail, writeTail } from './tail.ts';

const FORMAT = 1;
const HEAD = 1;
const LEAF = 2;
const INDEX = 3;
const EVICTED = 4;
const HEADER_BYTES = 16;
const HEAD_HEADER_BYTES = 24;

/** A head in place. */
export interface HeadView {
  readonly nextBlock: number;
  /** Null where there are no blocks. */
  readonly root: EntriesView | null;
  /** Rows later than every block's. */
  readonly open: RowsView;
  readonly tail: Tail;
}

const out = new PageBuffer();

function begin(kind: number, prepared: Prepared, number: number): void {
  out.length = 0;
  out.zeros(HEADER_BYTES);
  out.bytes[4] = FORMAT;
  out.bytes[5] = kind;
  out.view.setUint32(8, prepared.fingerprint, true);
  out.view.setUint32(12, number, true);
}

/** Rows lo…hi of `open` become the open rows; `root` is the entries, or their section as it was. `evicted`: see evicted.ts. */
export function encodeHead(
  prepared: Prepared,
  nextBlock: number,
  root: readonly Entry[] | Uint8Array,
  open: Events,
  lo: number,
  hi: number,
  tail: Tail,
  evicted = false,
): Uint8Array {
  begin(evicted ? EVICTED : HEAD, prepared, nextBlock);
  out.zeros(HEAD_HEADER_BYTES - HEADER_BYTES);
  if (root instanceof Uint8Array) out.raw(root);
  else if (root.length > 0) writeEntries(out, root, prepared.aggregates.length);
  out.view.setUint32(16, out.length, true);
  writeRows(out, open, lo, hi);
  out.view.setUint32(20, out.length, true);
  writeTail(out, tail);
  return out.finish();
}

export function encodeLeaf(
  prepared: Prepared,
  number: number,
  events: Events,
  lo: number,
  hi: number,
): Uint8Array {
  begin(LEAF, prepared, number);
  writeRows(out, events, lo, hi);
  return out.finish();
}

export function encodeIndex(
  prepared: Prepared,
  number: number,
  entries: readonly Entry[],
): Uint8Array {
  begin(INDEX, prepared, number);
  writeEntries(out, entries, prepared.aggregates.length);
  return out.finish();
}

/** The checksum a finished page carries. */
export function checksumOf(page: Uint8Array): number {
  return (page[0]! | (page[1]! << 8) | (page[2]! << 16) | (page[3]! << 24)) >>> 0;
}

/** Whether a head is that of an evicted key. */
export function isEvicted(head: Uint8Array): boolean {
  return head[5] === EVICTED;
}

/** Opens a head, also that of an evicted key: for who keeps what is there, and does not take it for all there is. */
export function openAnyHead(prepared: Prepared, page: Uint8Array): HeadView {
  return readHead(prepared, page, isEvicted(page) ? EVICTED : HEAD);
}

/** Opens a head to be read. Throws `timeline/evicted-page` for that of an evicted key. */
export function openHead(prepared: Prepared, page: Uint8Array, before?: OpenedPages): HeadView {
  const known = before?.get(prepared, page);
  if (known !== undefined) {
    if (known instanceof RowsView || known instanceof EntriesView) throw wrongKind(page, HEAD);
    return known;
  }
  const view = readHead(prepared, page, HEAD);
  before?.set(prepared, page, view);
  return view;
}

function readHead(prepared: Prepared, page: Uint8Array, kind: number): HeadView {
  const opened = openPage(prepared, page, kind);
  const rowsAt = opened.view.getUint32(16, true);
  const tailAt = opened.view.getUint32(20, true);
  return {
    nextBlock: opened.view.getUint32(12, true),
    root:
      rowsAt === HEAD_HEADER_BYTES
        ? null
        : new EntriesView(opened, HEAD_HEADER_BYTES, prepared.aggregates.length),
    open: new RowsView(opened, rowsAt, prepared.layout.columns),
    tail: tailAt === opened.bytes.length ? NO_TAIL : readTail(opened.bytes, tailAt),
  };
}

/** The root's section of a head that `openHead` took, to be copied into the next; empty where there are no blocks. */
export function rootBytes(head: Uint8Array): Uint8Array {
  const at = HEAD_HEADER_BYTES - 8;
  const rowsAt = head[at]! | (head[at + 1]! << 8) | (head[at + 2]! << 16) | (head[at + 3]! << 24);
  return head.subarray(HEAD_HEADER_BYTES, rowsAt);
}

/** A block, which must be the very one that its entry was made for. */
export function openBlock(
  prepared: Prepared,
  page: Uint8Array | undefined,
  number: number,
  checksum: number,
  level: number,
  before?: OpenedPages,
): RowsView | EntriesView {
  if (page === undefined) throw damaged(`block ${number} is missing`);
  const kind = level === 0 ? LEAF : INDEX;
  const known = before?.get(prepared, page);
  const opened = known === undefined ? openPage(prepared, page, kind) : null;
  if (checksumOf(page) !== checksum)
    throw damaged(`block ${number} is not the one that the index names`);
  if (opened === null) {
    if (known instanceof (level === 0 ? RowsView : EntriesView)) return known;
    throw wrongKind(page, kind);
  }
  const view =
    level === 0
      ? new RowsView(opened, HEADER_BYTES, prepared.layout.columns)
      : new EntriesView(opened, HEADER_BYTES, prepared.aggregates.length);
  before?.set(prepared, page, view);
  return view;
}

function openPage(prepared: Prepared, page: Uint8Array, kind: number): PageBytes {
  if (page.length < HEADER_BYTES) throw damaged(`the page has only ${page.length} bytes`);
  // Columns are viewed in place, which takes an aligned buffer.
  const bytes = page.byteOffset % 8 === 0 ? page : page.slice();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes[4] !== FORMAT)
    throw new SamewiseError('timeline/unknown-format', `the page has format ${bytes[4]}`, {
      hint: 'it was written by another version of Samewise, or it is damaged; materialize the view again',
    });
  if (xxh32(view, 4, bytes.length) !== view.getUint32(0, true))
    throw damaged('the checksum of the page does not match its bytes');
  if (bytes[5] !== kind) throw wrongKind(bytes, kind);
  if (view.getUint32(8, true) !== prepared.fingerprint)
    throw damaged('the page belongs to another layout');
  return { bytes, view };
}

function wrongKind(page: Uint8Array, kind: number): SamewiseError {
  if (isEvicted(page) && kind === HEAD)
    return new SamewiseError(
      'timeline/evicted-page',
      'the events of the key are in history alone',
      {
        hint: 'whoever serves the view brings them back when they are asked for',
      },
    );
  return damaged(`the page is of kind ${page[5]} where ${kind} was expected`);
}

function damaged(what: string): SamewiseError {
  return new SamewiseError('timeline/damaged-page', what, {
    hint: 'materialize the view again for this key',
  });
}
