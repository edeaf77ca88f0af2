import { inContext } from '../base/errors.ts';
import type { FeatureService } from '../model/index.ts';
import { type DescribedOptions, describedOf } from './described.ts';
import { type Handle, handle } from './handle.ts';
import { memberOf, type OutputsOf, type RequestOf, type Used } from './use.ts';

export interface FeatureServiceOptions<U extends readonly Used[] = readonly Used[]>
  extends DescribedOptions {
  /** The model that asks for these features; no part of the meaning. */
  readonly model?: string;
  /** Views (all their features), uses of them (`pick`, `on`, `via`, `as`), or single features; the outputs' order. */
  readonly features: U;
}

/** Only for types: nothing has it at run time. */
declare const ANSWERS: unique symbol;

/** A service that is asked with columns `I` (keys and request data) and answers outputs `O`, by name. */
export interface FeatureServiceHandle<I = any, O = any> extends Handle<FeatureService> {
  readonly [ANSWERS]?: readonly [I, O];
}

/**
 * What one model asks for, in order.
 *
 *     const fraud = featureService({ name: 'fraud_v1', model: 'fraud-detector', features: [spending, context] });
 */
export function featureService<const U extends readonly Used[]>(
  options: FeatureServiceOptions<U>,
): FeatureServiceHandle<RequestOf<U>, OutputsOf<U>> {
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
