/** What is wrong with the fields of an entity in a request: the same words in every protocol. */
import { nearest, SamewiseError } from '../base/errors.ts';
import type { ServiceProgram } from './service_program.ts';

/** `serving/missing-field`: a key column or request field that is not given. */
export function missingField(program: ServiceProgram, name: string, field: string): SamewiseError {
  const isKey = program.plan.keyColumns.some((column) => column.name === name);
  return new SamewiseError(
    'serving/missing-field',
    isKey
      ? `${asker(program)} looks entities up by ${name}, which is not given`
      : `${asker(program)} computes features from the request field ${name}, which is not given`,
    {
      where: { field, ...(program.name === '' ? {} : { service: program.name }) },
      hint: `give ${name} for every entity, or null where it is not known`,
    },
  );
}

/** `serving/unknown-field`: a name that means nothing. */
export function unknownField(program: ServiceProgram, name: string, field: string): SamewiseError {
  const known = program.inputs.map((input) => input.name);
  const near = nearest(name, known);
  return new SamewiseError(
    'serving/unknown-field',
    `${asker(program)} takes no field called ${JSON.stringify(name)}`,
    {
      where: { field, ...(program.name === '' ? {} : { service: program.name }) },
      hint: near === undefined ? `fields are: ${known.join(', ')}` : `did you mean ${near}?`,
    },
  );
}

/** A list of features has no name. */
function asker({ name }: ServiceProgram): string {
  return name === '' ? 'this list of features' : name;
}
