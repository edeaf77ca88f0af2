/**
 * How far the pages of each view are in each partition, in the online store's bookkeeping; and marks: checkpoints of the past, to
 * which a stream may be rewound.
 *
 * A page only ever gains what it lacks (see page_builder.ts), so a checkpoint stays true for ever: one that is written late by a
 * worker that is none any more only makes others read again. That is why nothing here needs a lock.
 */
import type { Checkpoint, HistoryState } from '../offline/history_contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import { type Control, readControl } from './control.ts';
import { read, readJson, type Written, write, writeJson } from './meta.ts';

/** Marks that a partition keeps: the older, the sparser. */
const MAX_MARKS = 256;

/** A view's checkpoint with the number of the rewind that it has seen. */
interface Stored {
  readonly at: Written | null;
  readonly rewind: number;
}

/** How far the pages of a view are; null: no worker and no materialisation has said anything. Rewinds are taken into account. */
export async function readCheckpoint(
  online: OnlineStore,
  { source, partition, viewId }: CheckpointPlace,
  control: Control,
): Promise<{ at: Checkpoint | null } | null> {
  const stored = await readJson<Stored>(online, nameOf(source, partition, viewId));
  if (stored === null) {
    // History had nothing of the partition when the view was handed over: all of it is the stream's.
    const handed = await readJson<true>(online, handedName(source, viewId));
    return handed === null ? null : { at: null };
  }
  return { at: rewound(stored.at && read(stored.at), stored.rewind, partition, control) };
}

export interface CheckpointPlace {
  readonly source: string;
  readonly partition: string;
  readonly viewId: string;
}

/** Keeps how far the pages of a view are, as known to one that has seen the rewinds up to `generation`. */
export async function writeCheckpoint(
  online: OnlineStore,
  { source, partition, viewId }: CheckpointPlace,
  at: Checkpoint | null,
  generation: number,
): Promise<void> {
  const stored: Stored = { at: at && write(at), rewind: generation };
  await writeJson(online, nameOf(source, partition, viewId), stored);
}

/** What is left of a checkpoint after the rewinds that came since `seen`. */
export function rewound(
  at: Checkpoint | null,
  seen: number,
  partition: string,
  control: Control,
): Checkpoint | null {
  let least = at;
  for (const { generation, to } of control.rewinds) {
    const target = generation > seen ? to.get(partition) : undefined;
    if (target !== undefined) least = lesser(least, target);
  }
  return least;
}

/** The one that is less far; null is nowhere. */
export function lesser(a: Checkpoint | null, b: Checkpoint | null): Checkpoint | null {
  if (a === null || b === null) return null;
  return b.position < a.position ? b : a;
}

/**
 * Hands a view over from materialisation to the stream: its pages have all that `state` had, which was read before its build
 * began. `first`: it had no pages before, or none that count; otherwise a checkpoint only moves forward.
 */
export async function handOver(
  online: OnlineStore,
  view: { readonly source: string; readonly viewId: string; readonly first: boolean },
  state: HistoryState,
): Promise<void> {
  const control = await readControl(online, view.source);
  for (const [partition, { position, arrivalUs, newestUs }] of state.partitions) {
    const place = { ...view, partition };
    const before = view.first ? null : await readCheckpoint(online, place, control);
    if (before?.at && before.at.position >= position) continue;
    await writeCheckpoint(online, place, { position, arrivalUs, newestUs }, control.generation);
  }
  await writeJson(online, handedName(view.source, view.viewId), true);
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
