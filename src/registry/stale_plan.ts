/** What the loser of two appliers is told: who was faster, when, and what they changed. */
import { SamewiseError, type Where } from '../base/errors.ts';
import { formatInstant } from '../base/time.ts';
import type { Change, ChangeKind, Revision } from './contract.ts';

/** Of a long history the newest revisions, of a long diff the first lines: the rest is in `samewise plan`. */
const MAX_REVISIONS = 3;
const MAX_CHANGES = 5;
const MAX_FIELDS = 3;
const MAX_VALUE = 60;

/** How many revisions an adapter hands to `stalePlan` at most; one more than is told, so that it can say that there are more. */
export const REVISIONS_TOLD = MAX_REVISIONS + 1;

const VERB: Readonly<Record<ChangeKind, string>> = {
  create: 'created',
  'new-version': 'changed',
  describe: 'described anew',
  remove: 'removed',
};

/** `since`: the newest revisions after `expectedHead`, newest first. */
export function stalePlan(
  expectedHead: number,
  head: number,
  since: readonly Revision[],
  where: Where,
): SamewiseError {
  const told = since.slice(0, MAX_REVISIONS).toReversed().map(printRevision);
  const more = since.length > MAX_REVISIONS ? ['…'] : [];
  const lines = [...more, ...told].map((line) => `\n  ${line}`).join('');
  return new SamewiseError(
    'registry/stale-plan',
    `the plan was made at revision ${expectedHead}, but the registry is at ${head}${lines && `:${lines}`}`,
    { where, hint: 'plan again, so that you see what your changes do to theirs' },
  );
}

function printRevision({ number, author, atUs, message, changes }: Revision): string {
  const what = changes.slice(0, MAX_CHANGES).map(printChange);
  if (changes.length > MAX_CHANGES) what.push(`${changes.length - MAX_CHANGES} more changes`);
  const why = message === '' ? '' : ` (${short(message)})`;
  return `revision ${number} by ${author} at ${formatInstant(atUs)}${why}: ${what.join('; ')}`;
}

function printChange({ change, kind, name, after, fields }: Change): string {
  const version = after === null ? '' : ` version ${after}`;
  const some = fields
    .slice(0, MAX_FIELDS)
    .map(({ path, before, after }) => `${path}: ${value(before)} → ${value(after)}`);
  if (fields.length > MAX_FIELDS) some.push('…');
  const which = change === 'new-version' || change === 'describe' ? some.join(', ') : '';
  return `${VERB[change]} ${kind} ${name}${version}${which && ` (${which})`}`;
}

function value(text: string | null): string {
  return text === null ? 'nothing' : short(text);
}

function short(text: string): string {
  return text.length <= MAX_VALUE ? text : `${text.slice(0, MAX_VALUE)}…`;
}
