/** What goes wrong with a Kafka cluster, in coded errors. */
import { GenericError } from '@platformatic/kafka';
import { SamewiseError, type Where } from '../../base/errors.ts';
import { type Patience, persistBy } from '../patience.ts';

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
  // What is wrong with an answer is said here, and repeated by the client in an error of its own.
  const own = chain(error).find((link) => link instanceof SamewiseError);
  if (own !== undefined) return own as SamewiseError;
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

/** Runs `body`, again while the cluster cannot be reached and there is patience; throws coded errors. */
export function persist<T>(patience: Patience, where: Where, body: () => Promise<T>): Promise<T> {
  return persistBy(patience, (error) => codedError(error, where), body);
}
