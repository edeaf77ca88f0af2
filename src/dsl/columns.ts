/** Columns as typed Values, for the callbacks that make features. */
import { SamewiseError } from '../base/errors.ts';
import { column, type Value } from '../expr/index.ts';
import { suggestion } from '../model/index.ts';
import type { Columns } from './described.ts';

/** A Value for each column, under its name. */
export type Values<C extends Columns> = { readonly [P in keyof C]: Value<C[P]> };

/**
 * The Values of some columns; `prefix` qualifies their names in the expression. A name that is not there is
 * `model/unknown-column` at once, not an undefined that fails somewhere later.
 */
export function valuesOf<C extends Columns>(columns: C, what: string, prefix = ''): Values<C> {
  const names = Object.keys(columns);
  const values = Object.fromEntries(
    names.map((name) => [name, column(`${prefix}${name}`, columns[name]!)]),
  );
  return strict(values, (name) => {
    throw new SamewiseError(
      'model/unknown-column',
      `${what} has no column ${JSON.stringify(name)}`,
      {
        where: { column: name },
        hint: suggestion(name, names),
      },
    );
  }) as Values<C>;
}

/** The object, but a name that it does not have calls `missing`. */
export function strict<T extends object>(object: T, missing: (name: string) => never): T {
  return new Proxy(object, {
    get: (target, name) =>
      typeof name === 'symbol' || Object.hasOwn(target, name)
        ? Reflect.get(target, name)
        : missing(name),
  });
}
