/** The schema registry: schemas by the numbers that records carry, over Confluent's HTTP API. A schema of a number never changes, so each is asked for once. */
import { SamewiseError } from '../../base/errors.ts';

export interface RegisteredSchema {
  readonly id: number;
  readonly type: 'AVRO' | 'PROTOBUF' | 'JSON';
  readonly text: string;
  /** All that the schema refers to, and what those refer to, each after what it needs itself; by the name that it is referred to by. */
  readonly references: readonly { readonly name: string; readonly text: string }[];
}

export interface SchemaRegistry {
  /** The schema of a number; null: the registry has none. Rejects with `stream/registry-unavailable` if it does not say: then try again. */
  schema(id: number): Promise<RegisteredSchema | null>;
}

export interface RegistryOptions {
  /** In [0, 1): spreads the repeats of many workers. */
  readonly jitter: () => number;
  /** How long one schema may take, with all repeats; 15 s by default. */
  readonly deadlineMs?: number;
  readonly fetch?: typeof fetch;
}

const DEADLINE_MS = 15_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 3_000;
const MAX_REFERENCES = 100;
const ACCEPT = 'application/vnd.schemaregistry.v1+json, application/json';

interface Reference {
  readonly name: string;
  readonly subject: string;
  readonly version: number;
}
interface Answer {
  readonly schema: string;
  readonly schemaType?: RegisteredSchema['type'];
  readonly references?: readonly Reference[];
}

/** A registry at `url`, which may hold a user and a password. */
export function schemaRegistry(url: string, options: RegistryOptions): SchemaRegistry {
  const known = new Map<number, Promise<RegisteredSchema | null>>();
  const ask = asker(url, options);
  return {
    schema(id) {
      let found = known.get(id);
      if (found === undefined) {
        found = resolve(ask, id);
        known.set(id, found);
        const forget = () => known.delete(id);
        // One that is not there may be there later.
        found.then((schema) => schema ?? forget(), forget);
      }
      return found;
    },
  };
}

type Ask = (path: string, signal: AbortSignal) => Promise<Answer | null>;

async function resolve(ask: Asking, id: number): Promise<RegisteredSchema | null> {
  const signal = AbortSignal.timeout(ask.deadlineMs);
  const answer = await ask.get(`/schemas/ids/${id}`, signal);
  if (answer === null) return null;
  const references = new Map<string, string>();
  const follow = async (from: Answer): Promise<void> => {
    for (const { name, subject, version } of from.references ?? []) {
      if (references.has(name)) continue;
      if (references.size === MAX_REFERENCES)
        throw unavailable(`schema ${id} refers to over ${MAX_REFERENCES} others`);
      const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}`;
      const found = await ask.get(path, signal);
      if (found === null)
        throw unavailable(`it has no ${subject} ${version}, to which schema ${id} refers`);
      await follow(found);
      references.set(name, found.schema);
    }
  };
  await follow(answer);
  return {
    id,
    type: answer.schemaType ?? 'AVRO',
    text: answer.schema,
    references: [...references].map(([name, text]) => ({ name, text })),
  };
}

interface Asking {
  readonly deadlineMs: number;
  readonly get: Ask;
}

function asker(url: string, options: RegistryOptions): Asking {
  const { deadlineMs = DEADLINE_MS, jitter } = options;
  const request = options.fetch ?? fetch;
  const base = new URL(url);
  const headers: Record<string, string> = { accept: ACCEPT };
  if (base.username !== '') {
    const user = `${decodeURIComponent(base.username)}:${decodeURIComponent(base.password)}`;
    headers.authorization = `Basic ${Buffer.from(user).toString('base64')}`;
    base.username = base.password = '';
  }
  const root = base.href.replace(/\/$/, '');

  /** Null: not found. Undefined: ask again. */
  const once = async (path: string, signal: AbortSignal): Promise<Answer | null | string> => {
    let status: number;
    let body: string;
    try {
      const response = await request(`${root}${path}`, { headers, signal });
      status = response.status;
      body = await response.text();
    } catch (error) {
      return ((error as Error).cause as Error | undefined)?.message ?? (error as Error).message;
    }
    if (status === 404) return null;
    if (status === 200) {
      const answer = parsedAnswer(body);
      return answer ?? 'it answers what is no schema';
    }
    if (status === 429 || status >= 500) return `it answers ${status}`;
    throw unavailable(`it answers ${status} to ${path}`);
  };

  return {
    deadlineMs,
    async get(path, signal) {
      for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
        const answer = await once(path, signal);
        if (typeof answer !== 'string') return answer;
        await sleep(pause * (0.5 + jitter() / 2), signal);
        if (signal.aborted) throw unavailable(answer);
      }
    },
  };
}

function parsedAnswer(body: string): Answer | null {
  try {
    const answer = JSON.parse(body) as Partial<Answer> | null;
    return typeof answer?.schema === 'string' ? (answer as Answer) : null;
  } catch {
    return null;
  }
}

/** Ends early when the signal does. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) return done();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}

function unavailable(why: string): SamewiseError {
  return new SamewiseError(
    'stream/registry-unavailable',
    `the schema registry cannot be asked: ${why}`,
    {
      hint: 'check the setting "schemas"; the stream goes on when it answers',
    },
  );
}
