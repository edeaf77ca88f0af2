/**
 * Keys that nothing happened to for as long as their view says (`onlineFor`) leave the online store; a tiny head stays, and who reads them
 * has them brought back (`cold_tier.ts`), for as long again. Only what history was found to have, event by event, is let go. See decision 20.
 */
import { SamewiseError } from '../base/errors.ts';
import { type InstantUs, US_PER_MINUTE } from '../base/time.ts';
import type { ViewProgram } from '../model/index.ts';
import type { HistoryState } from '../offline/history_contract.ts';
import type { Head, PageWrite } from '../online/contract.ts';
import type { Registered } from '../registry/contract.ts';
import { nameOfKey } from '../stream/evaluate.ts';
import { readJson, writeJson } from '../stream/meta.ts';
import { boundOf } from '../stream/page_builder.ts';
import { reconcile } from '../stream/reconcile.ts';
import {
  evictedHead,
  isEvicted,
  newestEvent,
  nextBlock,
  readPositions,
} from '../timeline/index.ts';
import { type LiveView, liveView } from './live_views.ts';
import { forgetNote, noteUs, readNotes } from './read_keys.ts';
import type { Streaming } from './streaming.ts';

/** Heads that are looked at together. */
const HEADS_AT_ONCE = 1_000;
/** Keys whose history is compared in one scan. */
const KEYS_A_SCAN = 20_000;
/** A view is gone through once in this part of the time that its keys stay. */
const PASSES = 100;

/** A view whose idle keys leave, and after how long. */
export interface IdleView extends LiveView {
  readonly onlineForUs: number;
}

/** Views that say how long their keys stay online. Versions that share pages share them for as long as the longest says. */
export function idleViews(registered: readonly Registered[]): IdleView[] {
  const byId = Map.groupBy(
    registered
      .filter(({ kind, state }) => kind === 'featureView' && state !== 'retired')
      .map((view) => liveView(registered, view)),
    ({ program }) => program.id,
  );
  return [...byId.values()].flatMap((versions) => {
    const times = versions.map(
      ({ program }) => program.view.onlineForUs ?? Number.POSITIVE_INFINITY,
    );
    const onlineForUs = Math.max(...times);
    return onlineForUs === Number.POSITIVE_INFINITY ? [] : [{ ...versions[0]!, onlineForUs }];
  });
}

/** Goes through a view if it is its time; gives how many keys left. Throws `online/…` and `offline/…`. */
export async function evictWhenDue(
  app: Streaming,
  view: IdleView,
  signal?: AbortSignal,
): Promise<number> {
  const name = `evicted/${view.program.id}`;
  const nowUs = app.clock.nowUs();
  const everyUs = Math.max(US_PER_MINUTE, view.onlineForUs / PASSES);
  const last = await readJson<number>(app.online, name);
  if (last !== null && nowUs - last < everyUs) return 0;
  const evicted = await evictIdle(app, view, signal);
  if (signal?.aborted !== true) await writeJson(app.online, name, nowUs);
  return evicted;
}

/** Goes through all keys of a view now. */
export async function evictIdle(
  app: Streaming,
  view: IdleView,
  signal?: AbortSignal,
): Promise<number> {
  const { online, history, clock } = app;
  const { program, onlineForUs } = view;
  const horizonUs = clock.nowUs() - onlineForUs;
  let evicted = 0;
  let idle: Idle[] = [];
  let some: Uint8Array[] = [];
  const look = async () => {
    // Before the heads: what they have come to is compared with it.
    const state = await history.state(program.source.name);
    const heads = await online.heads(some.map((key) => ({ view: program.id, key })));
    const found = some.flatMap((key, i) => {
      const head = heads[i];
      return head !== undefined && isIdle(program, head, state, horizonUs) ? [{ key, head }] : [];
    });
    const notes = await readNotes(
      online,
      program,
      found.map(({ key }) => key),
    );
    found.forEach((one, i) => {
      const note = notes[i];
      if (note === undefined || noteUs(note) < horizonUs) idle.push({ ...one, note });
    });
    some = [];
  };
  for await (const key of online.scan(program.id)) {
    if (some.push(key) < HEADS_AT_ONCE) continue;
    await look();
    if (signal?.aborted) return evicted;
    if (idle.length < KEYS_A_SCAN) continue;
    evicted += await evict(app, view, idle, signal);
    idle = [];
  }
  await look();
  return evicted + (await evict(app, view, idle, signal));
}

/** A key, and the head that it is to have still. */
interface Idle {
  readonly key: Uint8Array;
  readonly head: Head;
  /** That it was read and came back, long ago. */
  readonly note: Head | undefined;
}

function isIdle(
  { layout }: ViewProgram,
  { bytes }: Head,
  state: HistoryState,
  horizonUs: InstantUs,
): boolean {
  try {
    const newestUs = newestEvent(layout, bytes);
    if (newestUs >= horizonUs) return false;
    if (newestUs === Number.NEGATIVE_INFINITY && isEvicted(bytes)) return false;
    return boundOf(readPositions(layout, bytes), state) === null;
  } catch (error) {
    // A damaged page is for `reconcile` to find.
    if (error instanceof SamewiseError) return false;
    throw error;
  }
}

async function evict(
  { online, offline, history }: Streaming,
  { catalog, program }: LiveView,
  idle: readonly Idle[],
  signal: AbortSignal | undefined,
): Promise<number> {
  if (idle.length === 0) return 0;
  const different = new Set<string>();
  // An evicted key has nothing to compare but what came since, which history has.
  const whole = idle.filter(({ head }) => !isEvicted(head.bytes));
  if (whole.length > 0)
    await reconcile({
      online,
      offline,
      log: history,
      catalog,
      program,
      keys: whole.map(({ key }) => key),
      repair: false,
      signal,
      onDifference: ({ key }) => different.add(nameOfKey(key)),
    });
  const { layout } = program;
  const leaving = idle.filter(({ key }) => !different.has(nameOfKey(key)));
  let evicted = 0;
  for (let from = 0; from < leaving.length; from += HEADS_AT_ONCE) {
    const some = leaving.slice(from, from + HEADS_AT_ONCE);
    const applied = await online.compareAndSet(
      some.map(({ key, head }): PageWrite => {
        const blocks = nextBlock(layout, head.bytes) - 1;
        return {
          view: program.id,
          key,
          expect: head.version,
          head: evictedHead(layout, head.bytes),
          putBlocks: new Map(),
          dropBlocks: Array.from({ length: blocks }, (_, i) => i + 1),
        };
      }),
    );
    // What changed meanwhile is not idle.
    const gone = some.filter((_, i) => applied[i]);
    evicted += gone.length;
    const forgotten = gone.flatMap(({ key, note }) =>
      note === undefined ? [] : [forgetNote(program, key, note)],
    );
    if (forgotten.length > 0) await online.compareAndSet(forgotten);
  }
  return evicted;
}
