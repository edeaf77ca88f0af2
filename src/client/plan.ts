/** What a service's definitions say of its requests and answers, worked out once for each. */
import { assert, SamewiseError } from '../base/errors.ts';
import { parseInstant } from '../base/time.ts';
import {
  collect,
  definitionOf,
  type FeatureServiceHandle,
  type SourceHandle,
} from '../dsl/index.ts';
import { catalogOf, planService } from '../model/index.ts';
import type { Schema } from '../types/batch.ts';
import { scalarFromJson } from '../types/json.ts';
import { coerce, type Scalar, scalarToJsonText } from '../types/scalar.ts';
import type { Answer, Explained } from './types.ts';

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

type Fields = Readonly<Record<string, unknown>>;

/**
 * A request of several entities as JSON text, int64 with all its digits. Throws `client/missing-field`,
 * `client/unknown-field`, and `types/…` for a value of another type, each with the entity's place.
 */
export function requestText(plan: ServicePlan, entities: readonly Fields[], more: Fields): string {
  const texts = entities.map((entity, i) => inputsText(plan, entity, `[${i}].`));
  return `${JSON.stringify({ ...more, full: true }).slice(0, -1)},"entities":[${texts.join()}]}`;
}

/** What a service is asked with for one entity, as a JSON object. Throws as `requestText`; `at` begins the names of places. */
export function inputsText({ name, inputs }: ServicePlan, entity: Fields, at: string): string {
  return objectText(entity, inputs, {
    asked: `${name} is asked with`,
    where: { service: name },
    at,
  });
}

/** Events of a source as JSON text. Throws as `requestText`. */
export function eventsText(source: SourceHandle<any, any>, events: readonly Fields[]): string {
  const { name, columns } = definitionOf(source);
  const texts = events.map(({ __op = 'upsert', ...event }, i) => {
    const isRetract = __op === 'retract';
    // To take an event away it need not be whole; the server knows what is needed.
    const fields = columns.filter((field) => !isRetract || event[field.name] !== undefined);
    const asked = `an event of ${name} has`;
    const text = objectText(event, fields, { asked, where: { source: name }, at: `[${i}].` });
    if (!isRetract) return text;
    return text === '{}' ? '{"__op":"retract"}' : `${text.slice(0, -1)},"__op":"retract"}`;
  });
  return `[${texts.join()}]`;
}

function objectText(
  given: Fields,
  fields: Schema,
  { asked, where, at }: { asked: string; where: Readonly<Record<string, string>>; at: string },
): string {
  const texts = fields.map(({ name, dtype }) => {
    const place = { ...where, field: `${at}${name}` };
    const value = given[name];
    if (value === undefined) {
      throw new SamewiseError('client/missing-field', `${asked} ${name}`, {
        where: place,
        hint: `give ${name}, or null where it is not known`,
      });
    }
    return `${JSON.stringify(name)}:${scalarToJsonText(coerce(value, dtype, place), dtype)}`;
  });
  const stray = Object.keys(given).find((key) => !fields.some((field) => field.name === key));
  if (stray !== undefined) {
    throw new SamewiseError('client/unknown-field', `${asked} no ${stray}`, {
      where: { ...where, field: `${at}${stray}` },
      hint: `there are ${fields.map((field) => field.name).join(', ')}`,
    });
  }
  return `{${texts.join()}}`;
}

/** The explanation out of a parsed body, its values in the type of the output. Throws `client/definitions-differ`. */
export function explainedOf(
  { name, outputs }: ServicePlan,
  output: string,
  told: Explained<unknown> & { readonly service: { readonly version: number } },
): Explained<any> {
  const { dtype } = outputs.find((one) => one.name === output)!;
  const read = (value: unknown) => {
    try {
      return scalarFromJson(value, dtype, {});
    } catch (error) {
      assert(error instanceof SamewiseError, 'values are read by coded rules');
      throw differ(name, told.service.version, `${output}: ${error.message}`);
    }
  };
  return { ...told, value: read(told.value), recomputed: read(told.recomputed) };
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
