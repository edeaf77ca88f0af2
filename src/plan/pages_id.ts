/** Which pages registered versions of views have. Versions that differ in fallbacks alone share them. */
import type { FeatureView } from '../model/definitions.ts';
import { pagesIdOf } from '../model/index.ts';
import type { Registered } from '../registry/contract.ts';
import { catalogAt } from './catalog_at.ts';

/** The id of the pages (`ViewProgram.id`) of a registered version of a feature view. */
export function pagesIdAt(
  registered: readonly Registered[],
  { name, version, definition, fingerprint }: Omit<Registered, 'revision'>,
): string {
  const view = definition as FeatureView;
  // What the fingerprint is without fallbacks, no other definition has to be found for.
  if (view.features.every(({ fallbacks }) => fallbacks === undefined))
    return fingerprint.slice(0, 16);
  return pagesIdOf(view, catalogAt(registered, { kind: 'featureView', name, version }));
}
