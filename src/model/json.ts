/** Definitions as text: what the registry and manifests keep. `definitionFromJson(definitionToJson(d))` equals d. */
import { SamewiseError } from '../base/errors.ts';
import { canonicalJson } from '../base/hash.ts';
import {
  type Definition,
  FALLBACKS_IR_VERSION,
  IR_VERSION,
  LOOKUPS_IR_VERSION,
} from './definitions.ts';
import { deepFreeze } from './freeze.ts';
import { DEFAULT_STREAM } from './stream.ts';

const KINDS: readonly string[] = [
  'entity',
  'source',
  'featureView',
  'onDemandView',
  'featureService',
] satisfies Definition['kind'][];

const READ_VERSIONS: readonly unknown[] = [IR_VERSION, LOOKUPS_IR_VERSION, FALLBACKS_IR_VERSION];

/** One text for one definition (sorted keys), with the version of the IR: the oldest that can say it. */
export function definitionToJson(definition: Definition): string {
  if (definition.kind === 'featureView') {
    const plain = definition.features.every(
      ({ fallbacks, whenStale }) => fallbacks === undefined && whenStale === undefined,
    );
    return canonicalJson({ ir: plain ? IR_VERSION : FALLBACKS_IR_VERSION, ...definition });
  }
  if (definition.kind !== 'source') return canonicalJson({ ir: IR_VERSION, ...definition });
  const { lookups, ...source } = definition;
  return lookups.length === 0
    ? canonicalJson({ ir: IR_VERSION, ...source })
    : canonicalJson({ ir: LOOKUPS_IR_VERSION, ...definition });
}

/**
 * Reads what `definitionToJson` wrote. Throws `model/unknown-ir-version` for what another version of Samewise wrote and
 * `model/not-a-definition` for anything else.
 */
export function definitionFromJson(text: string): Definition {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw notADefinition('it is not JSON', cause);
  }
  if (value === null || typeof value !== 'object' || !('ir' in value))
    throw notADefinition('it has no "ir"');
  const { ir, ...definition } = value as { ir: unknown; kind?: unknown };
  if (!READ_VERSIONS.includes(ir)) {
    throw new SamewiseError(
      'model/unknown-ir-version',
      `the definition is written in version ${JSON.stringify(ir)}; this Samewise reads versions ${IR_VERSION} to ${FALLBACKS_IR_VERSION}`,
      { hint: 'use the version of Samewise that wrote it, or a newer one' },
    );
  }
  if (!KINDS.includes(definition.kind as string))
    throw notADefinition(`its kind is ${JSON.stringify(definition.kind)}`);
  const read = (definition.kind === 'source'
    ? // What was written before sources had these.
      { lookups: [], stream: DEFAULT_STREAM, ...definition }
    : definition) as unknown as Definition;
  return deepFreeze(read);
}

function notADefinition(why: string, cause?: unknown): SamewiseError {
  return new SamewiseError('model/not-a-definition', `this is not a definition: ${why}`, { cause });
}
