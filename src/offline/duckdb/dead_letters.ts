/** Dead letters as lines of JSON. Key and payload are in base64: they are bytes that nobody could read. */
import { SamewiseError } from '../../base/errors.ts';
import type { DeadLetter } from '../history_contract.ts';

export function encodeDeadLetters(letters: readonly DeadLetter[]): string {
  return letters
    .map(({ partition, position, arrivalUs, code, message, column, key, payload }) =>
      JSON.stringify({
        partition,
        position: String(position),
        arrivalUs,
        code,
        message,
        column,
        key: key?.toBase64() ?? null,
        payload: payload?.toBase64() ?? null,
      }),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** Throws `offline/bad-history` for what is not a file of dead letters. */
export function decodeDeadLetters(text: string, path: string): DeadLetter[] {
  try {
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const { position, key, payload, ...rest } = JSON.parse(line);
        return {
          ...rest,
          position: BigInt(position),
          key: bytesOf(key),
          payload: bytesOf(payload),
        };
      });
  } catch (error) {
    throw new SamewiseError('offline/bad-history', `${path} is not a file of dead letters`, {
      where: { file: path },
      cause: error,
    });
  }
}

function bytesOf(base64: string | null): Uint8Array | null {
  return base64 === null ? null : Uint8Array.fromBase64(base64);
}
