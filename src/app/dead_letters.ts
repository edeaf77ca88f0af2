/** Dead letters as people handle them: listed, mended, replayed. */
import { readFileSync } from 'node:fs';
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import type { StoredDeadLetter } from '../offline/history_contract.ts';
import type { NewRecord } from '../stream/contract.ts';
import { topicOf } from '../stream/control.ts';
import { liveSources } from './live_sources.ts';
import type { Streaming } from './streaming.ts';

/** A dead letter whose payload is text, as far as it is text. */
export interface PrintedLetter {
  readonly partition: string;
  readonly position: bigint;
  readonly arrivalUs: InstantUs;
  readonly code: string;
  readonly message: string;
  readonly column: string | null;
  readonly state: StoredDeadLetter['state'];
  readonly payload: string | null;
}

/** Records that are appended again at once. */
const RECORDS_AN_APPEND = 1_000;

/** Dead letters of a source, oldest first. Throws `app/unknown-source`. */
export async function listLetters(
  { registry, history }: Streaming,
  sourceName: string,
  { all = false, limit }: { readonly all?: boolean; readonly limit: number },
): Promise<PrintedLetter[]> {
  const [source] = liveSources(await registry.load(), [sourceName]);
  const letters: PrintedLetter[] = [];
  for await (const letter of history.deadLetters(source!.name)) {
    if (letters.length === limit) break;
    if (!all && letter.state !== 'open') continue;
    const { key: _, payload, ...said } = letter;
    letters.push({ ...said, payload: payload === null ? null : new TextDecoder().decode(payload) });
  }
  return letters;
}

/**
 * Settles all open dead letters: discards them, or appends their records to the log again (as they were, or the lines of a file in
 * their stead) and then marks them as replayed. Cut off between the two it may be run again: events are known by their ids. Throws
 * `app/unknown-source`, `app/cut-letter`, `app/no-file`.
 */
export async function settleLetters(
  { registry, history, log }: Streaming,
  sourceName: string,
  how: 'discard' | { readonly file: string | null },
): Promise<{ readonly settled: number; readonly appended: number }> {
  const [source] = liveSources(await registry.load(), [sourceName]);
  const open: StoredDeadLetter[] = [];
  for await (const letter of history.deadLetters(source!.name))
    if (letter.state === 'open') open.push(letter);
  if (how === 'discard') {
    await history.settleDeadLetters(source!.name, open, 'discarded');
    return { settled: open.length, appended: 0 };
  }
  const records = how.file === null ? open.map(recordOf) : recordsOfFile(how.file);
  for (let from = 0; from < records.length; from += RECORDS_AN_APPEND)
    await log.append(topicOf(source!), records.slice(from, from + RECORDS_AN_APPEND));
  await history.settleDeadLetters(source!.name, open, 'replayed');
  return { settled: open.length, appended: records.length };
}

function recordOf({ code, key, payload, partition, position }: StoredDeadLetter): NewRecord {
  if (code === 'stream/oversize') {
    throw new SamewiseError(
      'app/cut-letter',
      'of a record that was too large only the beginning is kept',
      {
        where: { partition, position: String(position) },
        hint: 'put what it should have said into a file, and replay with that',
      },
    );
  }
  return { key, value: payload };
}

function recordsOfFile(file: string): NewRecord[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SamewiseError('app/no-file', 'the file cannot be read', { where: { file }, cause });
  }
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ({ key: null, value: new TextEncoder().encode(line) }));
}
