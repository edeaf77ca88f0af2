/** What a plan stores: new versions, and old ones of which something differs. */
import { assert } from '../base/errors.ts';
import { canonicalJson } from '../base/hash.ts';
import type { Definition, Source } from '../model/index.ts';
import type { Registered } from '../registry/contract.ts';
import { objectKey } from './registered.ts';
import type { Fate } from './states.ts';

/** A version as `Registry.apply` takes it. */
export type ToStore = Omit<Registered, 'revision'>;

/** Whether two definitions say the same, description included. */
export function sameDefinition(a: Definition, b: Definition): boolean {
  return a === b || canonicalJson(a) === canonicalJson(b);
}

/** Everything new, and of what is there all whose definition, pins or state differ. */
export function objectsToStore(
  registered: readonly Registered[],
  desired: ReadonlyMap<string, ToStore>,
  fates: ReadonlyMap<Registered, Fate>,
): ToStore[] {
  const stored: ToStore[] = [];
  const there = new Set<ToStore>();
  for (const object of registered) {
    const next = desired.get(objectKey(object));
    const fate = fates.get(object);
    assert(fate !== undefined, 'every registered version has a fate');
    const { state } = fate;
    const same = next !== undefined && next.version === object.version;
    if (same) there.add(next);
    const definition = same ? next.definition : relocated(object.definition, next?.definition);
    const pins = same ? next.pins : fate.pins;
    const unchanged =
      state === object.state &&
      sameDefinition(object.definition, definition) &&
      canonicalJson(pins) === canonicalJson(object.pins);
    if (unchanged) continue;
    const { revision: _, ...rest } = object;
    stored.push({ ...rest, definition, pins, state });
  }
  return [...stored, ...[...desired.values()].filter((object) => !there.has(object))];
}

/** Where a source's files lie and how late its events come are facts of now: they hold for its older versions too. */
function relocated(older: Definition, current: Definition | undefined): Definition {
  if (older.kind !== 'source' || current?.kind !== 'source') return older;
  const isQuery = (source: Source) => source.batch?.type === 'query';
  const batch = isQuery(older) || isQuery(current) ? older.batch : current.batch;
  return { ...older, batch, latenessUs: current.latenessUs };
}
