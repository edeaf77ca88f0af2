/** The door for the plain form of `GET /api/v1/features/online`: another field or an escape is the route's. */
import type { Context } from './context.ts';
import { type Answer, andThen, type Door, type FindDoor } from './doors.ts';
import { endOfAnswer, ONLINE_PATH, readOnline } from './online_route.ts';
import { readAgain } from './read_again.ts';
import { JSON_TYPE } from './schemas.ts';

export interface PlainQuery {
  readonly entity: string;
  readonly id: string;
  readonly features: string;
}

/** Characters that a query means literally and that no part of it is divided by. */
const LITERAL = /^[\w.~:@,-]+$/;
const PREFIX = `${ONLINE_PATH}?`;
/** The route refuses longer ones. */
const MAX_NAME = 512;
const MAX_ID = 8192;

/** The query of a URL that has entity, id and features once each, all in literal characters; else null. */
export function plainQuery(url: string): PlainQuery | null {
  if (!url.startsWith(PREFIX)) return null;
  let entity: string | null = null;
  let id: string | null = null;
  let features: string | null = null;
  for (let from = PREFIX.length; from <= url.length; ) {
    const next = url.indexOf('&', from);
    const to = next < 0 ? url.length : next;
    if (entity === null && url.startsWith('entity=', from)) entity = url.slice(from + 7, to);
    else if (id === null && url.startsWith('id=', from)) id = url.slice(from + 3, to);
    else if (features === null && url.startsWith('features=', from))
      features = url.slice(from + 9, to);
    else return null;
    from = to + 1;
  }
  if (entity === null || id === null || features === null) return null;
  const plain =
    entity.length <= MAX_NAME &&
    id.length <= MAX_ID &&
    LITERAL.test(entity) &&
    LITERAL.test(id) &&
    LITERAL.test(features);
  return plain ? { entity, id, features } : null;
}

export function onlineDoor(context: Context): FindDoor {
  const { ask, clock } = context;
  const door: Door = {
    route: ONLINE_PATH,
    type: JSON_TYPE,
    compresses: true,
    untilMs: (headers) =>
      headers['x-deadline-ms'] === undefined ? Number.POSITIVE_INFINITY : null,
    read(revision, url, _, terms) {
      const atUs = clock.nowUs();
      const end = ({ text, bytes }: Answer) => {
        const at = endOfAnswer(atUs);
        return { text: text + at, bytes: bytes + at.length };
      };
      const answer = readAgain(context, revision, url, atUs, (chosen) => {
        const query = plainQuery(url);
        return query && readOnline(ask, revision, query, atUs, { ...terms, chosen });
      });
      return andThen(answer, end);
    },
  };
  return (url) => (url.startsWith(PREFIX) ? door : null);
}
