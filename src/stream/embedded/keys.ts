/**
 * Keys as LMDB holds them. Chunk: the topic's number (4 bytes), the partition (2), the position of the first record (8), all
 * big-endian, so that the chunks of a partition lie in order. All else is text: `topic/<name>` and so on.
 */

const CHUNK_KEY_BYTES = 14;

export function chunkKey(topicId: number, partition: number, first: number): Uint8Array {
  const key = new Uint8Array(CHUNK_KEY_BYTES);
  const view = new DataView(key.buffer);
  view.setUint32(0, topicId);
  view.setUint16(4, partition);
  view.setUint32(6, Math.floor(first / 2 ** 32));
  view.setUint32(10, first % 2 ** 32);
  return key;
}

/** The position within a chunk's key. */
export function firstOf(key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset, key.length);
  return view.getUint32(6) * 2 ** 32 + view.getUint32(10);
}

const utf8 = new TextEncoder();
export const FORMAT_KEY: Uint8Array = utf8.encode('format');
/** How many topics there are: the number of the next one. */
export const TOPICS_KEY: Uint8Array = utf8.encode('topics');

/** Changes with every commit that a consumer may want to hear of. */
export const PULSE_KEY: Uint8Array = utf8.encode('pulse');

/** The last timestamp that was given to a record, of all topics. */
export const STAMP_KEY: Uint8Array = utf8.encode('stamp');

export function topicKey(name: string): Uint8Array {
  return utf8.encode(`topic/${name}`);
}

export function stateKey(topicId: number, partition: number): Uint8Array {
  return utf8.encode(`state/${topicId}/${partition}`);
}

export function groupKey(topicId: number, group: string): Uint8Array {
  return utf8.encode(`group/${topicId}/${group}`);
}
