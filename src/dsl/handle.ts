/** Handles: what the language's functions return. Each carries its frozen definition and the handles that it needs. */
import { SamewiseError } from '../base/errors.ts';
import { type Definition, deepFreeze } from '../model/index.ts';

// Registered symbols: definitions made by one copy of the package are understood by another.
const DEFINITION = Symbol.for('samewise.definition');
const NEEDS = Symbol.for('samewise.needs');

/** Something defined. `definitionOf` gives its plain data. */
export interface Handle<D extends Definition = Definition> {
  readonly [DEFINITION]: D;
  readonly [NEEDS]: readonly Handle[];
}

/** Makes `target` the frozen handle of a definition. */
export function handle<D extends Definition, T extends object>(
  target: T,
  definition: D,
  needs: readonly Handle[],
): T & Handle<D> {
  Object.defineProperty(target, DEFINITION, { value: deepFreeze(definition) });
  Object.defineProperty(target, NEEDS, { value: needs });
  return Object.freeze(target) as T & Handle<D>;
}

export function isHandle(value: unknown): value is Handle {
  return value !== null && typeof value === 'object' && DEFINITION in value;
}

/** The plain, frozen, serialisable data of what `entity`, `source`, `featureView`, `onDemandView` or `featureService` returned. */
export function definitionOf<D extends Definition>(defined: Handle<D>): D {
  if (isHandle(defined)) return defined[DEFINITION];
  throw new SamewiseError('dsl/not-a-definition', `${String(defined)} is not a definition`, {
    hint: 'pass what entity(), source(), featureView(), onDemandView() or featureService() returned',
  });
}

/**
 * All definitions among a module's exports (arrays of them too), with everything that they need, exported or not;
 * what is needed comes first. Pass it on to `catalogOf`.
 */
export function collect(moduleExports: object): Definition[] {
  const found = new Set<Definition>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (isHandle(value) && !found.has(value[DEFINITION])) {
      value[NEEDS].forEach(visit);
      found.add(value[DEFINITION]);
    } else if (isHandle(value)) value[NEEDS].forEach(visit);
  };
  Object.values(moduleExports).forEach(visit);
  return [...found];
}
