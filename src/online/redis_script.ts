/**
 * Compare-and-set as one script: for each write it looks at the head's version, and where that is the expected one it puts the head,
 * its blocks and the view's count, all or nothing.
 *
 * A head's version is the server's time in microseconds when it was written, and above the version before. No two writes of a key
 * have the same one, also with its deletion in between, and nothing counts for all keys: there is no key that every write touches.
 */
import { hash } from 'node:crypto';
import type { PageWrite } from './contract.ts';
import type { RedisKeys } from './redis_keys.ts';

/** Bytes of the version before a page. */
export const VERSION_BYTES = 8;

/**
 * KEYS: head, blocks and count of each write. ARGV of each write: the version expected (nothing: absent), 1 to put or 0 to delete,
 * the page, how many blocks to drop and these, how many to put and these, each with its bytes. Returns 1 or 0 for each write.
 * The head goes first: where memory is full, that is what fails, and nothing has changed then.
 */
const SCRIPT = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local applied = {}
local at = 1
for i = 1, #KEYS, 3 do
  local head, blocks, count = KEYS[i], KEYS[i + 1], KEYS[i + 2]
  local expect, puts, page, drops = ARGV[at], ARGV[at + 1] == '1', ARGV[at + 2], tonumber(ARGV[at + 3])
  local firstDrop = at + 4
  local firstPut = firstDrop + drops + 1
  local blocksToPut = tonumber(ARGV[firstPut - 1])
  at = firstPut + 2 * blocksToPut
  local is = redis.call('GETRANGE', head, 0, ${VERSION_BYTES - 1}) == expect
  if is then
    local keys, bytes = 0, 0
    if expect ~= '' then
      keys = -1
      bytes = ${VERSION_BYTES} - redis.call('STRLEN', head)
    end
    if puts then
      local version = now
      if expect ~= '' then version = math.max(now, struct.unpack('>d', expect) + 1) end
      redis.call('SET', head, struct.pack('>d', version) .. page)
      keys = keys + 1
      bytes = bytes + #page
      for j = firstDrop, firstDrop + drops - 1 do
        bytes = bytes - redis.call('HSTRLEN', blocks, ARGV[j])
        redis.call('HDEL', blocks, ARGV[j])
      end
      for j = firstPut, at - 2, 2 do
        bytes = bytes + #ARGV[j + 1] - redis.call('HSTRLEN', blocks, ARGV[j])
        redis.call('HSET', blocks, ARGV[j], ARGV[j + 1])
      end
    elseif expect ~= '' then
      for _, block in ipairs(redis.call('HVALS', blocks)) do bytes = bytes - #block end
      redis.call('UNLINK', head, blocks)
    end
    if keys ~= 0 then redis.call('HINCRBY', count, 'keys', keys) end
    if bytes ~= 0 then redis.call('HINCRBY', count, 'bytes', bytes) end
  end
  applied[#applied + 1] = is and 1 or 0
end
return applied
`;

/** The script by its text, and by the name under which a server that has seen it knows it. */
export const COMPARE_AND_SET = {
  text: SCRIPT,
  sha: hash('sha1', SCRIPT),
} as const;

/** What the script is called with for some writes of one slot: the number of keys, keys, arguments. */
export function argumentsOf(
  writes: readonly PageWrite[],
  keys: RedisKeys,
): [number, ...(string | Buffer)[]] {
  const names: string[] = [];
  const rest: (string | Buffer)[] = [];
  for (const write of writes) {
    names.push(keys.head(write), keys.blocks(write), keys.count(write));
    rest.push(
      write.expect === 0 ? '' : versionBytes(write.expect),
      write.head === null ? '0' : '1',
      write.head === null ? '' : bufferOf(write.head),
      String(write.dropBlocks.length),
    );
    for (const block of write.dropBlocks) rest.push(String(block));
    rest.push(String(write.putBlocks.size));
    for (const [block, bytes] of write.putBlocks) rest.push(String(block), bufferOf(bytes));
  }
  return [names.length, ...names, ...rest];
}

/** A version as it lies before a page. */
function versionBytes(version: number): Buffer {
  const bytes = Buffer.allocUnsafe(VERSION_BYTES);
  bytes.writeDoubleBE(version);
  return bytes;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
