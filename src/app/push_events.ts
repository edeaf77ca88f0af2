/** Pushes that come over HTTP. */
import type { Source } from '../model/index.ts';
import type { PushEvents } from '../serving/index.ts';
import { rowsOfBody } from '../stream/decode/index.ts';
import { liveSources } from './live_sources.ts';
import { type Applied, push } from './push.ts';
import type { Streaming } from './streaming.ts';

/** Reads a body's rows in the columns of their source, and pushes them. */
export function eventPusher(streaming: Streaming, applied: Applied): PushEvents {
  return async ({ source: name, contentType, body, wait }) => {
    const [source] = liveSources(await streaming.registry.load(), [name]) as [Source];
    const rows = await rowsOfBody(source, contentType, body);
    return push(streaming, { source: name, rows, wait }, applied);
  };
}
