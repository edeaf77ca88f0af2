/** The door for the plain form of `POST /api/v1/services/{service}/vectors`. */
import { Buffer } from 'node:buffer';
import { MAX_ENTITIES } from './ask.ts';
import type { Context } from './context.ts';
import { type Answer, andThen, type Door, type FindDoor, plainJson } from './doors.ts';
import { objectIn } from './json.ts';
import { JSON_TYPE, type VectorsBody } from './schemas.ts';
import { readVectors, SERVICE_VECTORS_PATH } from './vectors_route.ts';

const [BEFORE_SERVICE, AFTER_SERVICE] = SERVICE_VECTORS_PATH.split(':service') as [string, string];
/** What the router takes as it stands: longer names it refuses. */
const SERVICE = /^[\w.@-]{1,100}$/;
/** Whoever asks for ever other names must not fill the memory. */
const MAX_KEPT_SERVICES = 1000;

export function vectorsDoor(context: Context): FindDoor {
  const doors = new Map<string, Door>();
  return (url) => {
    const known = doors.get(url);
    if (known !== undefined) return known;
    if (!url.startsWith(BEFORE_SERVICE) || !url.endsWith(AFTER_SERVICE)) return null;
    const service = url.slice(BEFORE_SERVICE.length, -AFTER_SERVICE.length);
    if (!SERVICE.test(service)) return null;
    const door = doorOf(context, service);
    if (doors.size >= MAX_KEPT_SERVICES) doors.clear();
    doors.set(url, door);
    return door;
  };
}

function doorOf(context: Context, service: string): Door {
  return {
    route: SERVICE_VECTORS_PATH,
    type: JSON_TYPE,
    compresses: true,
    untilMs: (headers) => (plainJson(headers) ? Number.POSITIVE_INFINITY : null),
    read(revision, _, bytes, terms) {
      const body = objectIn(bytes);
      if (body === null || !isPlain(body)) return null;
      const text = readVectors(context, revision, revision.service(service), body, terms);
      return andThen(text, answerOf);
    },
  };
}

function answerOf(text: string): Answer {
  return { text, bytes: Buffer.byteLength(text) };
}

/** Whether a body is one that the route's schema takes and that has nothing rare in it. */
function isPlain(body: object): body is VectorsBody {
  let entities = false;
  for (const [name, value] of Object.entries(body))
    switch (name) {
      case 'entities':
        entities = isEntities(value);
        if (!entities) return false;
        break;
      case 'full':
        if (typeof value !== 'boolean') return false;
        break;
      case 'orientation':
        if (value !== 'rows' && value !== 'columns') return false;
        break;
      default:
        return false;
    }
  return entities;
}

function isEntities(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_ENTITIES) return false;
  return value.every((each) => typeof each === 'object' && each !== null && !Array.isArray(each));
}
