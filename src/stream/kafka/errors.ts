/** What goes wrong with a Kafka cluster, in coded errors; and trying again for a while what may pass. */
import { setTimeout as sleep } from 'node:timers/promises';
import { GenericError } from '@platformatic/kafka';
import { SamewiseError, type Where } from '../../base/errors.ts';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
const MAX_TEXT = 400;

const NO_TOPIC = /UNKNOWN_TOPIC|INVALID_TOPIC/;
const NOT_ALLOWED = /AUTHORIZATION_FAILED|SASL|PLT_KFK_AUTHENTICATION/;
const TOO_LARGE = /MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE/;

type Chained = Error & {
  code?: unknown;
  apiId?: unknown;
  errors?: readonly Chained[];
  cause?: Chained;
};

/** The error, what it was caused by and what it gathers. */
export function* chain(error: unknown): Generator<Chained> {
  if (!(error instanceof Error)) return;
  const { errors = [], cause } = error as Chained;
  yield error as Chained;
  for (const inner of [...errors, cause]) yield* chain(inner);
}

/** Whether the broker answered with this error, anywhere in the chain. */
export function answered(error: unknown, apiId: string): boolean {
  return chain(error).some((link) => link.apiId === apiId);
}

/** Gives the coded error for one of the client's; throws what is none of them, which is a bug. Nothing secret is in the client's words. */
export function codedError(error: unknown, where: Where): SamewiseError {
  if (error instanceof SamewiseError) return error;
  if (!(error instanceof Error) || !GenericError.isGenericError(error)) throw error;
  const links = [...chain(error)];
  const marks = links.map(({ code, apiId, message }) => `${code} ${apiId} ${message}`).join('\n');
  const leaves = links.filter(({ errors, cause }) => !errors?.length && cause === undefined);
  const said = [...new Set(leaves.map(({ message }) => message))].join('; ').slice(0, MAX_TEXT);
  if (NO_TOPIC.test(marks) || /^Unknown topic/.test(error.message))
    return new SamewiseError('stream/no-topic', `there is no Kafka topic ${where.topic}`, {
      where,
      hint: 'create it, or name another one: `stream: { topic }` of the source',
    });
  if (NOT_ALLOWED.test(marks))
    return new SamewiseError('stream/not-allowed', `Kafka refuses this account: ${said}`, {
      where,
      hint: 'check SAMEWISE_KAFKA_USERNAME, SAMEWISE_KAFKA_PASSWORD and SAMEWISE_KAFKA_MECHANISM, and what the account may do',
    });
  if (TOO_LARGE.test(marks))
    return new SamewiseError(
      'stream/record-too-large',
      'a record is larger than the Kafka topic takes',
      {
        where,
        hint: 'raise max.message.bytes of the topic, or send less in one event',
      },
    );
  return new SamewiseError('stream/unreachable', `Kafka does not answer: ${said}`, {
    where,
    hint: 'check that the brokers run, and that they can be reached at the addresses that they advertise',
  });
}

/** How long to go on, by which clock. */
export interface Patience {
  readonly limitMs: number;
  readonly monotonicMs: () => number;
}

/** Runs `body`, again and again while the cluster cannot be reached, until the time is over; throws coded errors. */
export async function persist<T>(
  { limitMs, monotonicMs }: Patience,
  where: Where,
  body: () => Promise<T>,
): Promise<T> {
  const deadline = monotonicMs() + limitMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
    try {
      return await body();
    } catch (error) {
      const coded = codedError(error, where);
      if (coded.code !== 'stream/unreachable' || monotonicMs() + pauseMs > deadline) throw coded;
      await sleep(pauseMs);
    }
  }
}
