/**
 * What people tell the workers of a source: pause, resume, rewind. It lies in the online store, where every worker looks
 * every second. A rewind is told by a number that grows: a checkpoint that has not seen it yet counts as set back, so that
 * no worker can undo it by writing how far it had been.
 */
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import type { Source } from '../model/index.ts';
import type { Checkpoint } from '../offline/history_contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import { readMarks } from './checkpoint.ts';
import type { EventLog } from './contract.ts';
import { read, readJson, type Written, write, writeJson } from './meta.ts';

/** Rewinds that are kept: checkpoints that have seen none of the last ones are of views that died long before. */
const MAX_REWINDS = 100;

export interface Control {
  readonly paused: boolean;
  /** Number of the last rewind; 0: there was none. */
  readonly generation: number;
  /** By partition: where to; null: the log's beginning. */
  readonly rewinds: readonly {
    readonly generation: number;
    readonly to: ReadonlyMap<string, Checkpoint | null>;
  }[];
}

interface Stored {
  readonly paused: boolean;
  readonly rewinds: readonly (readonly [
    generation: number,
    to: readonly (readonly [partition: string, to: Written | null])[],
  ])[];
}

/** The topic of a source's events. */
export function topicOf({ name, stream }: Source): string {
  return stream.topic ?? name;
}

export async function readControl(online: OnlineStore, source: string): Promise<Control> {
  const stored = await readJson<Stored>(online, nameOf(source));
  const rewinds = (stored?.rewinds ?? []).map(([generation, to]) => ({
    generation,
    to: new Map(to.map(([partition, at]) => [partition, at && read(at)])),
  }));
  return {
    paused: stored?.paused ?? false,
    generation: rewinds.at(-1)?.generation ?? 0,
    rewinds,
  };
}

async function writeControl(online: OnlineStore, source: string, control: Control): Promise<void> {
  const rewinds: Stored['rewinds'] = control.rewinds
    .slice(-MAX_REWINDS)
    .map(({ generation, to }) => [generation, [...to].map(([p, at]) => [p, at && write(at)])]);
  await writeJson(online, nameOf(source), { paused: control.paused, rewinds } satisfies Stored);
}

/** Workers of the source stop reading, or go on; they keep their partitions. */
export async function setPaused(
  online: OnlineStore,
  source: string,
  paused: boolean,
): Promise<void> {
  await writeControl(online, source, { ...(await readControl(online, source)), paused });
}

/** Where to rewind to: what the log took at or after a time, or each partition's position. */
export type RewindTarget =
  | { readonly timeUs: InstantUs }
  | { readonly positions: ReadonlyMap<string, bigint> };

/**
 * Has the pages of all views of a source absorb the events from there on once more, which changes nothing that is right already.
 * History is never set back. Gives for each partition the position after which reading begins: that of the last mark before
 * the target, or null for the log's beginning. Throws `stream/unknown-partition`.
 */
export async function rewind(
  { online, log }: { readonly online: OnlineStore; readonly log: EventLog },
  source: Source,
  target: RewindTarget,
): Promise<ReadonlyMap<string, Checkpoint | null>> {
  const topic = topicOf(source);
  const partitions = await log.partitions(topic);
  const wanted =
    'timeUs' in target ? await log.positionsAt(topic, target.timeUs) : target.positions;
  const to = new Map<string, Checkpoint | null>();
  for (const [partition, position] of wanted) {
    if (!partitions.includes(partition)) {
      throw new SamewiseError('stream/unknown-partition', `no partition ${partition}`, {
        where: { source: source.name },
        hint: `there are ${partitions.join(', ')}`,
      });
    }
    const marks = await readMarks(online, source.name, partition);
    to.set(partition, marks.findLast((mark) => mark.position < position) ?? null);
  }
  const control = await readControl(online, source.name);
  const generation = control.generation + 1;
  const rewinds = [...control.rewinds, { generation, to }];
  await writeControl(online, source.name, { ...control, generation, rewinds });
  return to;
}

function nameOf(source: string): string {
  return `stream/${source}/control`;
}
