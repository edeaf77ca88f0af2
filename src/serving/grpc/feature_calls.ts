/** What the calls of FeatureService do, whichever way they came. */
import { SamewiseError } from '../../base/errors.ts';
import type { InstantUs } from '../../base/time.ts';
import type { MaybePromise } from '../../online/contract.ts';
import { timestamp } from '../../types/dtype.ts';
import { coerce } from '../../types/scalar.ts';
import type { Columns } from '../answer.ts';
import type { Question } from '../ask.ts';
import type { Context } from '../context.ts';
import type { Revision } from '../definitions.ts';
import type { ServiceProgram } from '../service_program.ts';
import type { RequestRow, Vectors } from '../vector.ts';
import { answerBytes } from './answer_bytes.ts';
import { rowsOf } from './entities.ts';
import type { GetOnlineFeaturesRequest } from './gen/samewise/v1/features_pb.ts';

/** What is asked, resolved. */
export interface AskedFeatures {
  readonly revision: Revision;
  readonly program: ServiceProgram;
  readonly columns: Columns;
  readonly rows: readonly RequestRow[];
  readonly atUs: InstantUs;
  readonly readUs: InstantUs;
  readonly eventTimes: boolean;
}

/** Resolves a request. Throws `serving/missing-field`, as `Revision` does, as `rowsOf` does, and for a time beyond all times. */
export function askedFeatures(
  { clock }: Pick<Context, 'clock'>,
  revision: Revision,
  { what, entities, atUs: given, through, eventTimes }: GetOnlineFeaturesRequest,
): AskedFeatures {
  const { program, columns } = programOf(revision, what);
  const rows = rowsOf(program, entities);
  const atUs =
    given === undefined ? clock.nowUs() : (coerce(given, timestamp, { field: 'at_us' }) as number);
  const readUs = through ? atUs + 1 : atUs;
  return { revision, program, columns, rows, atUs, readUs, eventTimes };
}

function programOf(
  revision: Revision,
  what: GetOnlineFeaturesRequest['what'],
): { readonly program: ServiceProgram; readonly columns: Columns } {
  switch (what.case) {
    case 'service':
      return revision.service(what.value);
    case 'features':
      return revision.asked(what.value.entity, what.value.names.join());
    default:
      throw new SamewiseError('serving/missing-field', 'the request does not say what to read', {
        where: { field: 'what' },
        hint: 'give a service, or an entity and names of features',
      });
  }
}

/** By when and under which name a call is answered. */
export type Terms = Pick<Question, 'untilMs' | 'requestId'>;

/** Longest timeout of a client, about 25 days: timers cannot wait for longer. */
export const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Of a client's timeout so much is for reading; the rest is for the way back, without which a partial answer is no answer. */
const READING_SHARE = 0.9;

/** Until when is read, by the monotonic clock, for a client that waits `timeoutMs` from now on. */
export function deadlineAfter(nowMs: number, timeoutMs: number | undefined): number {
  return timeoutMs === undefined ? Number.POSITIVE_INFINITY : nowMs + READING_SHARE * timeoutMs;
}

/** The answer's bytes behind `lead` free ones, at once where reading ends at once. Throws or rejects as `Ask.vectors` does. */
export function answerTo(
  { ask }: Pick<Context, 'ask'>,
  asked: AskedFeatures,
  terms: Terms,
  lead = 0,
): MaybePromise<Uint8Array> {
  const { columns, atUs, eventTimes, revision, program, rows, readUs } = asked;
  const write = (vectors: Vectors) => answerBytes(vectors, columns, { atUs, eventTimes }, lead);
  const vectors = ask.vectors({ revision, program, rows, readUs, ...terms });
  return vectors instanceof Promise ? vectors.then(write) : write(vectors);
}
