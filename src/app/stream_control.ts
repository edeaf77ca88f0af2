/** Steering a source's workers from outside of them. */
import type { Checkpoint } from '../offline/history_contract.ts';
import { type RewindTarget, rewind, setPaused } from '../stream/control.ts';
import { liveSources } from './live_sources.ts';
import type { Streaming } from './streaming.ts';

/** Has workers stop applying the events of a source, or go on. They see it within a second. Throws `app/unknown-source`. */
export async function pauseSource(
  { registry, online }: Streaming,
  name: string,
  paused: boolean,
): Promise<void> {
  liveSources(await registry.load(), [name]);
  await setPaused(online, name, paused);
}

/** Has a source's events applied once more; see `rewind`. Throws `app/unknown-source` and `stream/unknown-partition`. */
export async function rewindSource(
  streaming: Streaming,
  name: string,
  target: RewindTarget,
): Promise<ReadonlyMap<string, Checkpoint | null>> {
  const [source] = liveSources(await streaming.registry.load(), [name]);
  return rewind(streaming, source!, target);
}
