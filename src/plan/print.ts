/** A plan as people read it, and as scripts do. */
import { formatBytes, formatCount } from '../base/numbers.ts';
import { KIND_TITLE } from '../model/index.ts';
import type { Backfill, Plan, PlannedChange, Touched } from './plan.ts';

/** Names and features that a line spells out. */
const SHOWN = 6;
/** Longest text of a value. */
const MAX_VALUE = 100;

const SIGN = { create: '+', 'new-version': '~', describe: '.', remove: '-' } as const;

/** The plan for scripts: without the definitions that `apply` stores. */
export function planToJson({ objects: _, ...plan }: Plan): Omit<Plan, 'objects'> {
  return plan;
}

/** The plan for people: what changes, what each change touches, what must be backfilled, what to know. */
export function printPlan(plan: Plan): string {
  const blocks = plan.changes.map(printChange);
  if (plan.backfills.length > 0)
    blocks.push(['Backfill:', ...plan.backfills.map(printBackfill)].join('\n'));
  if (plan.warnings.length > 0) {
    const lines = plan.warnings.map(({ code, message }) => `  ! ${message} [${code}]`);
    blocks.push(['Warnings:', ...lines].join('\n'));
  }
  blocks.push(summary(plan));
  return blocks.join('\n\n');
}

function summary({ changes, backfills }: Plan): string {
  if (changes.length === 0) return 'Nothing changes: the registry is as the definitions say.';
  const count = (kind: PlannedChange['change']) => changes.filter((c) => c.change === kind).length;
  return (
    `Plan: ${count('create')} to create, ${count('new-version')} to get a new version, ` +
    `${count('describe')} to describe anew, ${count('remove')} to remove; ` +
    `${plural(backfills.length, 'view')} to backfill.`
  );
}

function printChange(change: PlannedChange): string {
  const { kind, name, before, after } = change;
  const versions = {
    create: `version ${after}`,
    'new-version': `version ${before} → ${after}${(after ?? 0) < (before ?? 0) ? ', as it was before' : ''}`,
    describe: `version ${after} stays`,
    remove: `version ${before}`,
  }[change.change];
  const lines = [`${SIGN[change.change]} ${KIND_TITLE[kind]} ${name} (${versions})`];
  const fields = change.change === 'remove' ? [] : change.fields;
  const width = Math.min(40, Math.max(0, ...fields.map(({ path }) => path.length)));
  for (const { path, before: was, after: is } of fields) {
    const value =
      was === null ? shortened(is!) : `${shortened(was)} → ${is === null ? 'none' : shortened(is)}`;
    lines.push(`    ${path.padEnd(width)}  ${value}`);
  }
  const touches = change.change === 'create' ? '' : printTouched(change.touches);
  if (touches !== '') lines.push(`    touches ${touches}`);
  return lines.join('\n');
}

function printTouched(touched: Touched): string {
  return [
    named(touched.features, 'feature'),
    named(touched.views, 'feature view'),
    named(touched.onDemandViews, 'on-demand view'),
    named(touched.services, 'service'),
    named(touched.models, 'model'),
  ]
    .filter((text) => text !== '')
    .join(', ');
}

function named(names: readonly string[], what: string): string {
  if (names.length === 0) return '';
  const more = names.length > SHOWN ? `, and ${names.length - SHOWN} more` : '';
  return `${plural(names.length, what)} (${names.slice(0, SHOWN).join(', ')}${more})`;
}

function printBackfill({ view, version, source, rows, bytes }: Backfill): string {
  const cost =
    rows === null
      ? 'rows not known'
      : `about ${plural(rows, 'row')}${bytes === null ? '' : `, ${formatBytes(bytes)} of pages`}`;
  return `  ${view}@${version} from ${source}: ${cost}`;
}

function plural(n: number, what: string): string {
  return `${formatCount(n)} ${what}${n === 1 ? '' : 's'}`;
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length > MAX_VALUE ? `${line.slice(0, MAX_VALUE - 1)}…` : line;
}
