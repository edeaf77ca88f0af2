/** What a topic forgets: its oldest chunks, whole, by time and by size. Readers that are behind get `stream/position-gone`. */
import type { DurationUs, InstantUs } from '../../base/time.ts';
import type { LogStore, OldestChunk } from './store.ts';
import type { Topic } from './values.ts';

/** What a topic keeps. A limit that is not given does not limit. */
export interface Retention {
  /** Records whose timestamp is longer ago go, as soon as no younger one is stored together with them. */
  readonly maxAgeUs?: DurationUs;
  /** Bytes of all partitions as they are stored; the oldest records go first. */
  readonly maxBytes?: number;
}

/** What was dropped. */
export interface Dropped {
  readonly records: number;
  readonly bytes: number;
}

/** Chunks that one transaction drops, so that appends do not wait for long. */
const CHUNKS_AT_ONCE = 100;

/** Drops what is to go, a transaction at a time, with other work of the process between them. */
export async function dropOld(
  store: LogStore,
  topic: Topic,
  { maxAgeUs = Infinity, maxBytes = Infinity }: Retention,
  nowUs: InstantUs,
): Promise<Dropped> {
  let records = 0;
  let bytes = 0;
  for (;;) {
    let left = CHUNKS_AT_ONCE;
    store.transaction(() => {
      for (; left > 0; left--) {
        const oldest = oldestOf(store, topic);
        if (oldest === null) break;
        if (oldest.lastUs >= nowUs - maxAgeUs && sizeOf(store, topic) <= maxBytes) break;
        store.dropChunk(topic, oldest);
        records += oldest.end - oldest.first;
        bytes += oldest.bytes;
      }
    });
    if (left > 0) return { records, bytes };
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The chunk of all partitions whose last record is the oldest. */
function oldestOf(store: LogStore, topic: Topic): OldestChunk | null {
  let oldest: OldestChunk | null = null;
  for (let partition = 0; partition < topic.partitions; partition++) {
    const chunk = store.oldestChunk(topic, partition);
    if (chunk !== null && (oldest === null || chunk.lastUs < oldest.lastUs)) oldest = chunk;
  }
  return oldest;
}

function sizeOf(store: LogStore, topic: Topic): number {
  let bytes = 0;
  for (let partition = 0; partition < topic.partitions; partition++)
    bytes += store.state(topic, partition).bytes;
  return bytes;
}
