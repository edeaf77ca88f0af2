/** What a service's definitions say of its requests and answers, worked out once for each. */
import { assert, SamewiseError } from '../base/errors.ts';
import { parseInstant } from '../base/time.ts';
import { collect, definitionOf, type FeatureServiceHandle } from '../dsl/index.ts';
import { catalogOf, planService } from '../model/index.ts';
import type { Schema } from '../types/batch.ts';
import { scalarFromJson } from '../types/json.ts';
import { coerce, type Scalar, scalarToJsonText } from '../types/scalar.ts';
import type { Answer } from './types.ts';

/** What is needed of a service to ask it. */
export interface ServicePlan {
  readonly name: string;
  readonly inputs: Schema;
  readonly outputs: Schema;
}

const plans = new WeakMap<FeatureServiceHandle, ServicePlan>();

/** The plan of a service as this program defines it. Throws what is wrong with the definitions. */
export function planOf(service: FeatureServiceHandle): ServicePlan {
  const known = plans.get(service);
  if (known !== undefined) return known;
  const { name, members } = definitionOf(service);
  const { keyColumns, requestColumns, outputs } = planService(
    catalogOf(collect({ service })),
    members,
  );
  const plan = { name, inputs: [...keyColumns, ...requestColumns], outputs };
  plans.set(service, plan);
  return plan;
}

/**
 * A request of several entities as JSON text, int64 with all its digits. Throws `client/missing-field`,
 * `client/unknown-field`, and `types/…` for a value of another type, each with the entity's place.
 */
export function requestText(
  { name, inputs }: ServicePlan,
  entities: readonly Readonly<Record<string, unknown>>[],
  more: Readonly<Record<string, unknown>>,
): string {
  const texts = entities.map((entity, i) => {
    const fields = inputs.map(({ name: column, dtype }) => {
      const where = { service: name, field: `[${i}].${column}` };
      const value = entity[column];
      if (value === undefined) {
        throw new SamewiseError('client/missing-field', `${name} is asked with ${column}`, {
          where,
          hint: `give ${column} for every entity, or null where it is not known`,
        });
      }
      return `${JSON.stringify(column)}:${scalarToJsonText(coerce(value, dtype, where), dtype)}`;
    });
    const stray = Object.keys(entity).find((key) => !inputs.some((field) => field.name === key));
    if (stray !== undefined) {
      throw new SamewiseError('client/unknown-field', `${name} is not asked with ${stray}`, {
        where: { service: name, field: `[${i}].${stray}` },
        hint: `it is asked with ${inputs.map((field) => field.name).join(', ')}`,
      });
    }
    return `{${fields.join()}}`;
  });
  return `${JSON.stringify({ ...more, full: true }).slice(0, -1)},"entities":[${texts.join()}]}`;
}

/** What the server sends. */
interface Body {
  readonly version: number;
  readonly at: string;
  readonly vectors: readonly Readonly<Record<string, unknown>>[];
  readonly statuses: readonly Readonly<Record<string, string>>[];
  readonly event_times: readonly Readonly<Record<string, string | null>>[];
  readonly partial?: boolean;
  readonly stale?: readonly string[];
}

/**
 * The answers out of a parsed body, in the types of the definitions. Throws `client/definitions-differ` where the server
 * answers other outputs than this program defines, or other types.
 */
export function answersOf(
  { name, outputs }: ServicePlan,
  { version, at, vectors, statuses, event_times, partial = false, stale = [] }: Body,
): Answer<any>[] {
  const atUs = parseInstant(at);
  return vectors.map((vector, i) => {
    const values: Record<string, Scalar | null> = {};
    const eventTimesUs: Record<string, number | null> = {};
    for (const { name: output, dtype } of outputs) {
      const value = vector[output];
      if (value === undefined) throw differ(name, version, `it does not answer ${output}`);
      try {
        values[output] = scalarFromJson(value, dtype, {});
      } catch (error) {
        assert(error instanceof SamewiseError, 'values are read by coded rules');
        throw differ(name, version, `${output}: ${error.message}`);
      }
      const time = event_times[i]![output] ?? null;
      eventTimesUs[output] = time === null ? null : parseInstant(time);
    }
    const stray = Object.keys(vector).find((key) => !Object.hasOwn(values, key));
    if (stray !== undefined) throw differ(name, version, `it answers ${stray}, too`);
    return { values, statuses: statuses[i]!, eventTimesUs, atUs, version, partial, stale };
  });
}

function differ(service: string, version: number, how: string): SamewiseError {
  return new SamewiseError(
    'client/definitions-differ',
    `version ${version} of ${service} on the server is not what this program defines: ${how}`,
    {
      where: { service },
      hint: 'apply the definitions that this program imports, or build it with those that are applied',
    },
  );
}
