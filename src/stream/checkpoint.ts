/**
 * How far the pages of each view are in each partition, in the online store's bookkeeping; and marks: checkpoints of the past, to
 * which a stream may be rewound.
 *
 * A page only ever gains what it lacks (see page_builder.ts), so a checkpoint stays true for ever: one that is written late by a
 * worker that is none any more only makes others read again. That is why nothing here needs a lock.
 */
import { sha256Hex } from '../base/hash.ts';
import type { Checkpoint, HistoryState } from '../offline/history_contract.ts';
import type { OnlineStore, PageKey } from '../online/contract.ts';
import { type Control, readControl } from './control.ts';
import { read, readJson, type Written, write, writeJson } from './meta.ts';

/** Marks that a partition keeps: the older, the sparser. */
const MAX_MARKS = 256;

/** A view's checkpoint with what its writer had seen: the number of the last rewind, and of the last hand-over. */
interface Stored extends Seen {
  readonly at: Written | null;
  readonly whole?: boolean;
}

interface Seen {
  readonly rewind: number;
  readonly handed: number;
}

/** How far the pages of a view are. */
export interface Progress {
  readonly at: Checkpoint | null;
  /**
   * Whether the pages have all that history has up to there, or once will have. Where it is false they may lack what came late,
   * or what there was before the view, until it is materialised.
   */
  readonly whole: boolean;
}

/** A view handed over from materialisation to the stream: how far history was, by partition; nowhere in the others. */
export interface HandOver {
  /** Grows with each. */
  readonly number: number;
  readonly to: ReadonlyMap<string, Checkpoint>;
}

export interface CheckpointPlace {
  readonly source: string;
  readonly partition: string;
  readonly viewId: string;
}

/**
 * How far the pages of a view are, rewinds and hand-overs taken into account; null: neither a worker nor materialisation has said
 * anything.
 */
export async function readCheckpoint(
  online: OnlineStore,
  { source, partition, viewId }: CheckpointPlace,
  control: Control,
): Promise<Progress | null> {
  const handOver = await readHandOver(online, source, viewId);
  const stored = await readJson<Stored>(online, nameOf(source, partition, viewId));
  if (stored !== null) {
    const progress = { at: stored.at && read(stored.at), whole: stored.whole ?? false };
    return setBack(progress, stored, partition, control, handOver);
  }
  if (handOver === null) return null;
  return { at: handOver.to.get(partition) ?? null, whole: true };
}

/**
 * Keeps how far the pages of a view are, as known to one that has followed all up to `seen`. What is further already stays: another
 * worker was faster. Two who write in the same moment may still leave the lesser one, which the next one to keep it mends.
 */
export async function writeCheckpoint(
  online: OnlineStore,
  { source, partition, viewId }: CheckpointPlace,
  { at, whole }: Progress,
  { rewind, handed }: Seen,
): Promise<void> {
  const name = nameOf(source, partition, viewId);
  const stored = await readJson<Stored>(online, name);
  if (stored !== null && stored.rewind >= rewind && stored.handed >= handed) {
    const before = stored.at && read(stored.at);
    const mends = whole && stored.whole !== true && before?.position === at?.position;
    if (!mends && (at === null || (before !== null && before.position >= at.position))) return;
    // It has followed more than this one: what is left of this one's is for it to say.
    if (stored.rewind > rewind || stored.handed > handed) return;
  }
  const next: Stored = { at: at && write(at), whole, rewind, handed };
  await writeJson(online, name, next);
}

/** What is left of a checkpoint after the rewinds and the hand-over that came since `seen`. */
export function setBack(
  { at, whole }: Progress,
  seen: Seen,
  partition: string,
  control: Control,
  handOver: HandOver | null,
): Progress {
  let least = at;
  for (const { generation, to } of control.rewinds) {
    const target = generation > seen.rewind ? to.get(partition) : undefined;
    if (target !== undefined) least = lesser(least, target);
  }
  if (handOver === null || handOver.number <= seen.handed) return { at: least, whole };
  return { at: lesser(least, handOver.to.get(partition) ?? null), whole: true };
}

/** The one that is less far; null is nowhere. */
export function lesser(a: Checkpoint | null, b: Checkpoint | null): Checkpoint | null {
  if (a === null || b === null) return null;
  return b.position < a.position ? b : a;
}

/**
 * Hands a view over from materialisation to the stream: its pages have all that `state` had, which was read before its build
 * began. `first`: it had no pages before, or none that count. A worker that saw it before that began it where history was
 * then; so this tells it to begin where `state` was. So it does where pages lacked what only a build brings. Otherwise a checkpoint
 * only moves forward.
 */
export async function handOver(
  online: OnlineStore,
  {
    source,
    viewId,
    first,
  }: { readonly source: string; readonly viewId: string; readonly first: boolean },
  state: HistoryState,
): Promise<void> {
  const control = await readControl(online, source);
  if (first || (await lacksHistory(online, { source, viewId }, state))) {
    const to = [...state.partitions].map(([partition, at]) => [partition, write(at)] as const);
    for (;;) {
      const before = await findHandOver(online, source, viewId);
      const next: StoredHandOver = { number: (before.stored?.number ?? 0) + 1, to };
      const head = new TextEncoder().encode(JSON.stringify(next));
      const nothing = { putBlocks: new Map(), dropBlocks: [] };
      const page = handOverPage(source, viewId);
      const [done] = await online.compareAndSet([
        { ...page, expect: before.version, head, ...nothing },
      ]);
      if (done) return;
    }
  }
  const handed = (await readHandOver(online, source, viewId))?.number ?? 0;
  for (const [partition, { position, arrivalUs, newestUs }] of state.partitions) {
    const place = { source, viewId, partition };
    const before = await readCheckpoint(online, place, control);
    if (before?.at && before.at.position >= position) continue;
    const seen = { rewind: control.generation, handed };
    const at = { position, arrivalUs, newestUs };
    await writeCheckpoint(online, place, { at, whole: true }, seen);
  }
}

/** Whether the pages of a view may lack something of what history has, other than what comes last; see `Progress`. */
export async function lacksHistory(
  online: OnlineStore,
  { source, viewId }: { readonly source: string; readonly viewId: string },
  { partitions }: Pick<HistoryState, 'partitions'>,
): Promise<boolean> {
  const control = await readControl(online, source);
  for (const partition of partitions.keys()) {
    const progress = await readCheckpoint(online, { source, viewId, partition }, control);
    if (progress?.whole === false) return true;
  }
  return false;
}

interface StoredHandOver {
  readonly number: number;
  readonly to: readonly (readonly [partition: string, at: Written])[];
}

/** The last hand-over of a view; null: there was none. */
export async function readHandOver(
  online: OnlineStore,
  source: string,
  viewId: string,
): Promise<HandOver | null> {
  const { stored } = await findHandOver(online, source, viewId);
  if (stored === null) return null;
  const to = new Map(stored.to.map(([partition, at]) => [partition, read(at)]));
  return { number: stored.number, to };
}

/** Hand-overs lie in a page, for one must not be lost to another: what has followed a number has followed all before it. */
async function findHandOver(
  online: OnlineStore,
  source: string,
  viewId: string,
): Promise<{ readonly stored: StoredHandOver | null; readonly version: number }> {
  const [head] = await online.heads([handOverPage(source, viewId)]);
  if (head !== undefined)
    return { stored: JSON.parse(new TextDecoder().decode(head.bytes)), version: head.version };
  // Where they were before.
  return { stored: await readJson<StoredHandOver>(online, handedName(source, viewId)), version: 0 };
}

/** Where the hand-overs of a view lie. */
export function handOverPage(source: string, viewId: string): PageKey {
  const view = sha256Hex(`handed over: ${viewId}`).slice(0, 16);
  return { view, key: new TextEncoder().encode(source) };
}

/** Checkpoints of the past of a partition, by position. */
export async function readMarks(
  online: OnlineStore,
  source: string,
  partition: string,
): Promise<Checkpoint[]> {
  return ((await readJson<Written[]>(online, marksOf(source, partition))) ?? []).map(read);
}

/** Adds a mark. When there are too many, every second of the older half goes. */
export async function addMark(
  online: OnlineStore,
  source: string,
  partition: string,
  mark: Checkpoint,
): Promise<void> {
  let marks = await readMarks(online, source, partition);
  if (marks.some(({ position }) => position === mark.position)) return;
  marks.push(mark);
  marks.sort((a, b) => (a.position < b.position ? -1 : 1));
  if (marks.length > MAX_MARKS) marks = marks.filter((_, i) => i % 2 === 0 || i >= MAX_MARKS / 2);
  await writeJson(online, marksOf(source, partition), marks.map(write));
}

function nameOf(source: string, partition: string, viewId: string): string {
  return `stream/${source}/${partition}/${viewId}`;
}

function handedName(source: string, viewId: string): string {
  return `stream/${source}/handed/${viewId}`;
}

function marksOf(source: string, partition: string): string {
  return `stream/${source}/${partition}/marks`;
}
