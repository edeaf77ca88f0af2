/** What to know before applying. */
import type { Catalog } from '../model/index.ts';
import type { Change, Registered } from '../registry/contract.ts';
import type { SourceFacts, Warning } from './plan.ts';
import { objectKey } from './registered.ts';

/** Warnings of a plan: sources without event ids, and service versions that stay. */
export function warningsOf(
  changes: readonly Change[],
  kept: readonly Registered[],
  current: ReadonlyMap<string, Registered>,
  catalog: Catalog,
): Warning[] {
  const warnings: Warning[] = [];
  for (const { kind, name, change } of changes) {
    const source = kind === 'source' ? catalog.sources[name] : undefined;
    if (source?.eventId === null && (change === 'create' || change === 'new-version'))
      warnings.push(noEventId(name, null));
  }
  for (const service of kept) {
    const superseded = current.get(objectKey(service)) === service;
    const removed = changes.some(
      ({ change, kind, name }) =>
        change === 'remove' && kind === service.kind && name === service.name,
    );
    if (!superseded && !removed) continue;
    warnings.push({
      code: 'plan/goes-on',
      where: { service: service.name },
      message: `${service.name}@${service.version} goes on being served, and its views kept fresh, until it is retired`,
    });
  }
  return warnings;
}

/** Warns of a source whose rows are told apart by their content alone. */
export function noEventId(source: string, sample: SourceFacts['sample']): Warning {
  const found =
    sample === null
      ? ''
      : `: ${sample.repeated} of ${sample.rows} sampled rows repeat another (${((100 * sample.repeated) / Math.max(sample.rows, 1)).toFixed(2)} %)`;
  return {
    code: 'plan/no-event-id',
    where: { source },
    message: `the source ${source} names no event id, so rows of the same content count as one event${found}`,
  };
}
