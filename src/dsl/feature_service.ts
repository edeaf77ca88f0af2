import { inContext } from '../base/errors.ts';
import type { FeatureService } from '../model/index.ts';
import { type DescribedOptions, describedOf } from './described.ts';
import { type Handle, handle } from './handle.ts';
import { memberOf, type Used } from './use.ts';

export interface FeatureServiceOptions extends DescribedOptions {
  /** The model that asks for these features; no part of the meaning. */
  readonly model?: string;
  /** Views (all their features), uses of them (`pick`, `on`, `via`, `as`), or single features; the outputs' order. */
  readonly features: readonly Used[];
}

export type FeatureServiceHandle = Handle<FeatureService>;

/**
 * What one model asks for, in order.
 *
 *     const fraud = featureService({ name: 'fraud_v1', model: 'fraud-detector', features: [spending, context] });
 */
export function featureService(options: FeatureServiceOptions): FeatureServiceHandle {
  return inContext({ service: options.name }, () => {
    const used = options.features.map(memberOf);
    const definition: FeatureService = {
      kind: 'featureService',
      ...describedOf(options),
      model: options.model ?? null,
      members: used.map(({ member }) => member),
    };
    return handle(
      {},
      definition,
      used.map(({ needs }) => needs),
    );
  });
}
