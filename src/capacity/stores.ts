/** What an online store takes for a page: its own overhead on top of the bytes that it is given. */
import type { SampledKey } from './sample.ts';

/** Bytes of a key in a store: its pages with all that the store adds. */
export type BytesOfKey = (keyBytes: number, key: SampledKey) => number;

/** Sums a store's bytes over the pages of a key. */
function pagesOf(
  { headBytes, blockBytes, blocksEach }: SampledKey,
  head: (bytes: number) => number,
  block: (bytes: number) => number,
): number {
  return head(headBytes) + blocksEach * blockBytes.reduce((sum, bytes) => sum + block(bytes), 0);
}

/** The pages alone. */
export const bareBytes: BytesOfKey = (_, key) =>
  pagesOf(
    key,
    (bytes) => bytes,
    (bytes) => bytes,
  );

/** Of LMDB as this project opens it (see lmdb.h and mdb.c, `mdb_node_add`). */
const LMDB_PAGE = 4096;
const LMDB_PAGE_HEADER = 16;
/** A node with key and value beyond this has its value on pages of its own. */
const LMDB_LARGEST_NODE = 2038;
const LMDB_NODE_HEADER = 8;
const LMDB_NODE_POINTER = 2;
const LMDB_PAGE_NUMBER = 8;
/** lmdb-js keeps a head's version before it. */
const LMDB_VERSION = 8;
/** How full leaves are once keys have come in no order: ln 2, where all split in the middle. */
const LMDB_FILL: number = Math.LN2;

/** Keys in LMDB: see online/lmdb_keys.ts. A head's is the view's id and the entity key; a block's has 6 bytes more. */
export const lmdbBytes: BytesOfKey = (keyBytes, key) =>
  pagesOf(
    key,
    (bytes) => lmdbNode(8 + keyBytes, bytes + LMDB_VERSION, key.grows),
    (bytes) => lmdbNode(14 + keyBytes, bytes, false),
  );

/**
 * A value that `grows` event by event leaves its leaf when it becomes too large for it, and LMDB does not merge leaves when values
 * are replaced: the room stays taken. One that is written at its size takes but a pointer.
 */
function lmdbNode(key: number, value: number, grows: boolean): number {
  const own = even(LMDB_NODE_HEADER + key + value);
  if (own <= LMDB_LARGEST_NODE) return leafBytes(own);
  const pages = Math.floor((LMDB_PAGE_HEADER - 1 + value) / LMDB_PAGE) + 1;
  return (
    pages * LMDB_PAGE +
    leafBytes(grows ? LMDB_LARGEST_NODE : even(LMDB_NODE_HEADER + key + LMDB_PAGE_NUMBER))
  );
}

/** A node's share of a leaf: a page of three nodes of 1,200 bytes has 480 bytes left over. */
function leafBytes(node: number): number {
  const room = LMDB_PAGE - LMDB_PAGE_HEADER;
  return LMDB_PAGE / (LMDB_FILL * Math.floor(room / (node + LMDB_NODE_POINTER)));
}

function even(bytes: number): number {
  return bytes + (bytes & 1);
}

/** Of Redis 7 with jemalloc: an entry of a table, its bucket (the table has between one and two for each entry), an object, a table. */
const REDIS_ENTRY = 24;
const REDIS_BUCKET = 8 * 1.5;
const REDIS_OBJECT = 16;
const REDIS_TABLE = 64;

/** Bytes that jemalloc takes for an allocation: its size classes are four a doubling. */
export function jemallocBytes(bytes: number): number {
  if (bytes <= 8) return 8;
  if (bytes <= 128) return Math.ceil(bytes / 16) * 16;
  const step = 2 ** (Math.ceil(Math.log2(bytes)) - 3);
  return Math.ceil(bytes / step) * step;
}

/** A string with its length and its end, as Redis allocates it. */
function redisText(bytes: number): number {
  return jemallocBytes((bytes < 32 ? 1 : bytes < 256 ? 3 : bytes < 65_536 ? 5 : 9) + bytes + 1);
}

/** Of DynamoDB: what it bills for an item besides names and values. */
const DYNAMODB_ITEM = 100;
/** Names of attributes, and numbers such as the version. */
const DYNAMODB_ATTRIBUTES = 24;

export const dynamodbBytes: BytesOfKey = (keyBytes, key) =>
  pagesOf(
    key,
    (bytes) => dynamodbItem(keyBytes, bytes),
    (bytes) => dynamodbItem(keyBytes + 4, bytes),
  );

export function dynamodbItem(keyBytes: number, bytes: number): number {
  return DYNAMODB_ITEM + DYNAMODB_ATTRIBUTES + 8 + keyBytes + bytes;
}

/** Names in Redis: namespace, view and bucket, then the entity key in base64; blocks are fields of a hash (see online/redis_keys.ts). */
const REDIS_NAME = 18;
const REDIS_VERSION = 8;

export const redisBytes: BytesOfKey = (keyBytes, { headBytes, blockBytes, blocksEach }) => {
  const name = REDIS_NAME + Math.ceil((keyBytes * 4) / 3);
  const entry = jemallocBytes(REDIS_ENTRY) + REDIS_BUCKET + jemallocBytes(REDIS_OBJECT);
  const head = entry + redisText(name) + redisText(headBytes + REDIS_VERSION);
  if (blockBytes.length === 0) return head;
  const fields = blockBytes.reduce((sum, bytes) => sum + redisText(bytes), 0);
  const each = jemallocBytes(REDIS_ENTRY) + REDIS_BUCKET + redisText(4);
  return (
    head +
    entry +
    redisText(name + 1) +
    REDIS_TABLE +
    blocksEach * (fields + each * blockBytes.length)
  );
};
