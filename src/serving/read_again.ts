/** Reads that are asked for again and again: see remembered.ts. */
import type { InstantUs } from '../base/time.ts';
import type { MaybePromise } from '../online/contract.ts';
import type { Context } from './context.ts';
import type { Revision } from './definitions.ts';
import type { OnlineAnswer } from './online_route.ts';

/** An answer that may be given again; where `pages` is null it is not. */
export interface Given extends Omit<OnlineAnswer, 'pages'> {
  readonly pages: OnlineAnswer['pages'] | null;
}

/**
 * The answer to `request`, which was given before and still holds at `readUs`, else what `read` gives, which is told the rows to log
 * where they were drawn already. Null: `read` gave none.
 */
export function readAgain(
  { pages, metrics, featureLog }: Pick<Context, 'pages' | 'metrics' | 'featureLog'>,
  { remembered }: Revision,
  request: string,
  readUs: InstantUs,
  read: (chosen: readonly number[] | undefined) => MaybePromise<Given> | null,
): MaybePromise<Given> | null {
  const known = remembered.find(pages, request, readUs);
  let chosen: readonly number[] | undefined;
  if (known !== null) {
    chosen = featureLog?.choose(known.vectors) ?? [];
    if (chosen.length === 0) {
      metrics.pages(known.pages.length);
      metrics.answer(known.vectors, known.tally);
      return known;
    }
  }
  const answer = read(chosen);
  // A page that needs blocks is read in several turns, a small part of all.
  if (answer !== null && !(answer instanceof Promise) && answer.pages !== null)
    remembered.remember(pages, request, answer as OnlineAnswer, readUs);
  return answer;
}
