/** Asking a server: one request for one call, tried again where that is safe and time is left. */
import { setTimeout as sleep } from 'node:timers/promises';
import pRetry from 'p-retry';
import { systemClock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import { parseExactJson } from '../base/exact_json.ts';
import { formatInstant, type InstantUs } from '../base/time.ts';
import { definitionOf, type FeatureServiceHandle, type SourceHandle } from '../dsl/index.ts';
import { answersOf, eventsText, explainedOf, inputsText, planOf, requestText } from './plan.ts';
import type { Answer, Explained, Pushed, PushedEvent, Request, Values } from './types.ts';

export interface ClientOptions {
  /**
   * How long a read may take, in milliseconds. The server answers by then with what it has (`partial`); a server that is
   * away is tried again until then. Default: 1,000.
   */
  readonly deadlineMs?: number;
  /** Sent with every request, for a gateway that asks who it is. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ReadOptions {
  /** Read as of this past time: events strictly before it count. Default: now. */
  readonly at?: string | Date | InstantUs;
  /** Events at the time itself count, too. */
  readonly through?: boolean;
  /** Instead of the client's. */
  readonly deadlineMs?: number;
}

export interface PushOptions {
  /** Answer when the events cannot be lost, or when reads see them. Default: as the source says. */
  readonly wait?: 'durable' | 'applied';
  /** Default: 35,000, which is longer than the server waits for events to be applied. */
  readonly deadlineMs?: number;
}

export interface ExplainOptions extends ReadOptions {
  /** How many of the events that counted are told of each feature. Default: 20. */
  readonly events?: number;
  /** Default: 60,000, as history is scanned. */
  readonly deadlineMs?: number;
}

/**
 * All methods reject with a `SamewiseError`: what the server says, or `client/…`. Reads change nothing, and an event that is pushed again is
 * the same event, so all of them are tried again.
 */
export interface Client {
  /** The features of one entity. */
  get<S extends FeatureServiceHandle>(
    service: S,
    entity: Request<S>,
    options?: ReadOptions,
  ): Promise<Answer<S>>;
  /** The features of up to 5,000 entities in their order, all read at one time. */
  getMany<S extends FeatureServiceHandle>(
    service: S,
    entities: readonly Request<S>[],
    options?: ReadOptions,
  ): Promise<Answer<S>[]>;
  /** Sends events of a source: all of them are taken, or none. */
  push<S extends SourceHandle<any, any>>(
    source: S,
    events: readonly PushedEvent<S>[],
    options?: PushOptions,
  ): Promise<Pushed>;
  /** Why a feature of a service has its value, for people: history is scanned for it. */
  explain<S extends FeatureServiceHandle, P extends keyof Values<S> & string>(
    service: S,
    output: P,
    entity: Request<S>,
    options?: ExplainOptions,
  ): Promise<Explained<Values<S>[P]>>;
}

const DEADLINE_MS = 1_000;
const PUSH_MS = 35_000;
const EXPLAIN_MS = 60_000;
/** What an answer that was sent at the deadline may take on its way. */
const WAY_MS = 250;
const FIRST_PAUSE_MS = 20;

/** A client of the server at a URL. It holds no connection of its own: the platform keeps a pool of them. */
export function connect(url: string, options: ClientOptions = {}): Client {
  const ask = (path: string, body: string | null, deadlineMs: number) =>
    request(`${url.replace(/\/$/, '')}/api/v1/${path}`, body, deadlineMs, options.headers ?? {});
  const getMany: Client['getMany'] = async (service, entities, read = {}) => {
    if (entities.length === 0) return [];
    const plan = planOf(service);
    const { at, through } = read;
    const text = requestText(plan, entities, { at: timeText(at), through });
    const deadlineMs = read.deadlineMs ?? options.deadlineMs ?? DEADLINE_MS;
    const answer = await ask(`services/${encodeURIComponent(plan.name)}/vectors`, text, deadlineMs);
    return answersOf(plan, answer as Parameters<typeof answersOf>[1]) as Answer<typeof service>[];
  };
  return {
    getMany,
    get: async (service, entity, read) => (await getMany(service, [entity], read))[0]!,
    push: async (source, events, { wait, deadlineMs = PUSH_MS } = {}) => {
      const text = eventsText(source, events);
      const { name } = definitionOf(source);
      const query = wait === undefined ? '' : `?wait=${wait}`;
      const path = `events/${encodeURIComponent(name)}${query}`;
      return (await ask(path, text, deadlineMs)) as Pushed;
    },
    explain: async (service, output, entity, read = {}) => {
      const plan = planOf(service);
      if (!plan.outputs.some(({ name }) => name === output))
        throw new SamewiseError('client/unknown-output', `${plan.name} has no output ${output}`, {
          where: { service: plan.name, field: output },
          hint: `there are ${plan.outputs.map(({ name }) => name).join(', ')}`,
        });
      const { at, through, events, deadlineMs = EXPLAIN_MS } = read;
      const asked = {
        service: plan.name,
        feature: output,
        inputs: inputsText(plan, entity, ''),
        at: timeText(at),
        through: through && 'true',
        events: events?.toString(),
      };
      const given = Object.entries(asked).filter(([, text]) => text) as [string, string][];
      const told = await ask(`explain?${new URLSearchParams(given)}`, null, deadlineMs);
      return explainedOf(plan, output, told as Parameters<typeof explainedOf>[2]);
    },
  };
}

function timeText(at: ReadOptions['at']): string | undefined {
  if (typeof at === 'number') return formatInstant(at);
  return at instanceof Date ? at.toISOString() : at;
}

/** Something that may be over when it is tried again, after `restMs` at the soonest. */
class Passing extends Error {
  readonly restMs: number;

  constructor(cause: SamewiseError, restMs: number) {
    super(cause.message, { cause });
    this.restMs = restMs;
  }
}

/** Posts a body, or, without one, gets what is at the address. */
async function request(
  url: string,
  body: string | null,
  deadlineMs: number,
  headers: Readonly<Record<string, string>>,
): Promise<unknown> {
  const endMs = systemClock.monotonicMs() + deadlineMs;
  /** Whole milliseconds, never negative. */
  const leftMs = () => Math.max(0, Math.ceil(endMs - systemClock.monotonicMs()));
  const attempt = async () => {
    const response = await fetch(url, {
      method: body === null ? 'GET' : 'POST',
      body,
      headers: {
        ...headers,
        ...(body !== null && { 'content-type': 'application/json' }),
        'x-deadline-ms': String(Math.max(1, leftMs())),
      },
      signal: AbortSignal.timeout(leftMs() + WAY_MS),
    }).catch((cause) => {
      throw new Passing(unreachable(url, cause), 0);
    });
    const text = await response.text().catch((cause) => {
      throw new Passing(unreachable(url, cause), 0);
    });
    if (response.ok) return parseExactJson(text);
    const error = refusalOf(response.status, text);
    if (response.status !== 429 && response.status !== 503) throw error;
    throw new Passing(error, 1000 * Number(response.headers.get('retry-after') ?? 0));
  };
  try {
    return await pRetry(attempt, {
      // As many as time allows.
      retries: Number.POSITIVE_INFINITY,
      minTimeout: FIRST_PAUSE_MS,
      maxTimeout: Math.max(FIRST_PAUSE_MS, deadlineMs),
      randomize: true,
      shouldRetry: ({ error }) => error instanceof Passing,
      onFailedAttempt: async ({ error, retryDelay }) => {
        if (!(error instanceof Passing)) return;
        if (leftMs() <= error.restMs + retryDelay) throw error;
        await sleep(error.restMs);
      },
    });
  } catch (error) {
    throw error instanceof Passing ? error.cause : error;
  }
}

function unreachable(url: string, cause: unknown): SamewiseError {
  const { origin } = new URL(url);
  const slow = cause instanceof DOMException && cause.name === 'TimeoutError';
  return slow
    ? new SamewiseError('client/deadline-passed', `${origin} did not answer in time`, { cause })
    : new SamewiseError('client/unreachable', `${origin} cannot be reached`, {
        hint: 'is the server running (samewise serve), and is this its address?',
        cause,
      });
}

/** What the server refuses with, or what stands for a text that is not its own. */
function refusalOf(status: number, text: string): SamewiseError {
  try {
    const { code, message, hint, where, field } = (parseExactJson(text) as any).error;
    const place = { ...where, ...(field === undefined ? {} : { field }) };
    return new SamewiseError(code, message, { where: place, hint });
  } catch {
    return new SamewiseError(
      'client/not-an-answer',
      `the server answered ${status}, which says nothing more`,
      {
        hint: 'is it a Samewise server, or something before it that answers?',
      },
    );
  }
}
