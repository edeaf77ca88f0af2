/** The door for the plain form of Feast's `POST /get-online-features`. */
import { Buffer } from 'node:buffer';
import { tallyOf } from './answer.ts';
import type { Context } from './context.ts';
import { type Answer, andThen, type Door, plainJson } from './doors.ts';
import { FEAST_READ_PATH, type FeastAnswer, readFeast } from './feast_read.ts';
import type { FeastReadBody } from './feast_schemas.ts';
import { objectIn } from './json.ts';
import { type Given, readAgain } from './read_again.ts';
import { JSON_TYPE } from './schemas.ts';

/** Longer requests are not looked for among those that were answered before. */
const MOST_AGAIN_BYTES = 4_000;
/** To look whether the pages of more entities are as they were saves little. */
const MOST_AGAIN_ROWS = 16;

export function feastDoor(context: Context): Door {
  const { clock } = context;
  return {
    route: FEAST_READ_PATH,
    type: JSON_TYPE,
    compresses: true,
    untilMs: (headers) => (plainJson(headers) ? Number.POSITIVE_INFINITY : null),
    read(revision, url, bytes, terms) {
      const readUs = clock.nowUs();
      const read = (chosen?: readonly number[]) => {
        const body = objectIn(bytes);
        if (body === null || !isPlain(body)) return null;
        return readFeast(context, revision, body, readUs, { ...terms, chosen });
      };
      if (bytes.length > MOST_AGAIN_BYTES) return andThen(read(), answerOf);
      // One character for each byte.
      const request = `${url}\n${bytes.toString('latin1')}`;
      return readAgain(context, revision, request, readUs, (chosen) =>
        andThen(read(chosen), (answer) => ({ ...answerOf(answer), ...readFrom(answer) })),
      );
    },
  };
}

function answerOf({ text }: FeastAnswer): Answer {
  return { text, bytes: Buffer.byteLength(text) };
}

/** What there is to know of an answer before it is given again. */
function readFrom({ vectors }: FeastAnswer): Omit<Given, keyof Answer> {
  const { rows } = vectors;
  const pages =
    rows > MOST_AGAIN_ROWS
      ? null
      : Array.from({ length: rows }, (_, row) => vectors.pages(row)).flat();
  return { vectors: rows, tally: tallyOf(vectors), pages };
}

/** Whether a body is one that the route's schema takes. */
function isPlain(body: object): body is FeastReadBody {
  let entities = false;
  for (const [name, value] of Object.entries(body))
    switch (name) {
      case 'entities':
        entities =
          typeof value === 'object' &&
          value !== null &&
          !Array.isArray(value) &&
          Object.values(value).every(Array.isArray);
        if (!entities) return false;
        break;
      case 'features':
        if (!Array.isArray(value) || !value.every((each) => typeof each === 'string')) return false;
        break;
      case 'feature_service':
        if (typeof value !== 'string' && value !== null) return false;
        break;
      case 'full_feature_names':
        if (typeof value !== 'boolean') return false;
        break;
      // Whatever else a client sends is passed over, as in the route; Feast's own always sends something.
    }
  return entities;
}
