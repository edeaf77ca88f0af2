/** What was answered, computed again from what the pages said: defaults, keys of look-ups via features, on-demand features. */
import { SamewiseError } from '../base/errors.ts';
import { parseExactJson } from '../base/exact_json.ts';
import { assemble, compileView, keyColumnsOf, parseRef, type ViewProgram } from '../model/index.ts';
import type { LoggedVector } from '../offline/feature_log_contract.ts';
import { catalogAt } from '../plan/index.ts';
import type { Registered } from '../registry/contract.ts';
import { compileService, type ServiceProgram } from '../serving/index.ts';
import type { Batch } from '../types/batch.ts';
import { columnOf, scalarAt } from '../types/column.ts';
import { scalarFromJson } from '../types/json.ts';
import { encodeKey } from '../types/key.ts';
import { scalarToJsonText } from '../types/scalar.ts';
import type { PageProof, ValueDifference } from './prove_page.ts';

/** A difference of an output. */
export interface OutputDifference extends ValueDifference {
  /** `view:feature`. */
  readonly ref: string;
}

export class OutputProver {
  readonly #registered: readonly Registered[];
  readonly #services = new Map<string, ServiceProgram | null>();
  readonly #views = new Map<string, ViewProgram>();

  /** `registered`: with what is retired. */
  constructor(registered: readonly Registered[]) {
    this.#registered = registered;
  }

  /** What differs of a vector whose pages could all be proven; null: its service is not registered. */
  prove(vector: LoggedVector, pages: readonly PageProof[]): OutputDifference[] | null {
    if (vector.service === null) return this.#proveList(vector, pages);
    const program = this.#serviceOf(vector);
    return program && proveService(program, vector, pages);
  }

  /** An ad-hoc list has features of pages alone. */
  #proveList(vector: LoggedVector, pages: readonly PageProof[]): OutputDifference[] {
    return vector.refs.flatMap((ref, i) => {
      const { view, feature } = parseRef(ref);
      const at = vector.pages.findIndex((page) => page.view === view);
      const page = vector.pages[at]!;
      const place = page.features.indexOf(feature);
      const { view: defined, defaults } = this.#viewOf(page.id, view, page.version);
      const position = defined.features.findIndex(({ name }) => name === feature);
      const value = pages[at]!.values[place] ?? defaults[position]!;
      const expected = scalarToJsonText(value, defined.features[position]!.dtype);
      return differs(vector, i, expected, page.statuses[place]!);
    });
  }

  #serviceOf({ service, pages }: LoggedVector): ServiceProgram | null {
    const { name, version } = service!;
    const program = this.#services.getOrInsertComputed(`${name}@${version}`, () => {
      try {
        const ref = { kind: 'featureService', name, version } as const;
        return compileService(catalogAt(this.#registered, ref), name, version);
      } catch (error) {
        if (error instanceof SamewiseError && error.code === 'plan/unknown-object') return null;
        throw error;
      }
    });
    const lookups = program?.plan.lookups ?? [];
    const same =
      lookups.length === pages.length &&
      lookups.every((lookup, i) => lookup.program.id === pages[i]!.id);
    return same ? program : null;
  }

  #viewOf(id: string, name: string, version: number): ViewProgram {
    return this.#views.getOrInsertComputed(id, () =>
      compileView(catalogAt(this.#registered, { kind: 'featureView', name, version }), name),
    );
  }
}

function proveService(
  { plan, inputs }: ServiceProgram,
  vector: LoggedVector,
  pages: readonly PageProof[],
): OutputDifference[] {
  const looked = plan.lookups.map(({ dtypes }, lookup) =>
    dtypes.map((dtype, i) => columnOf(dtype, [pages[lookup]!.values[i]!])),
  );
  const request = requestOf(vector, inputs);
  if (request === null)
    return [
      { ref: vector.refs[0]!, feature: 'inputs', served: vector.inputs, expected: 'a request' },
    ];
  const out: OutputDifference[] = [];
  for (const [i, lookup] of plan.lookups.entries()) {
    const parts = keyColumnsOf(plan, lookup, looked, request).map((column) => scalarAt(column, 0));
    const { keyDtypes, view } = lookup.program;
    const expected = parts.includes(null) ? null : encodeKey(parts, keyDtypes).toHex();
    const served = vector.pages[i]!.key;
    if (served === expected) continue;
    out.push({
      ref: `${view.name}:`,
      feature: 'entity key',
      served: String(served),
      expected: String(expected),
    });
  }
  const { columns, raw } = assemble(plan, looked, request);
  plan.outputs.forEach(({ dtype, from }, i) => {
    const expected = scalarToJsonText(scalarAt(columns[i]!, 0), dtype);
    const computed = scalarAt(raw[i]!, 0) === null ? 'NULL_VALUE' : 'PRESENT';
    const status =
      from.from === 'lookup' ? vector.pages[from.lookup]!.statuses[from.index]! : computed;
    out.push(...differs(vector, i, expected, status));
  });
  return out;
}

/** What was asked, in its types; null if that is not what it says. */
function requestOf({ inputs: text }: LoggedVector, inputs: ServiceProgram['inputs']): Batch | null {
  try {
    const given = parseExactJson(text) as Record<string, unknown>;
    if (inputs.some(({ name }) => !Object.hasOwn(given, name))) return null;
    const columns = inputs.map(({ name, dtype }) => [
      name,
      columnOf(dtype, [scalarFromJson(given[name], dtype, { field: name })]),
    ]);
    return { length: 1, columns: Object.fromEntries(columns) };
  } catch (error) {
    if (error instanceof SamewiseError || error instanceof SyntaxError) return null;
    throw error;
  }
}

function differs(
  { values, statuses, features, refs }: LoggedVector,
  i: number,
  expected: string,
  status: string,
): OutputDifference[] {
  const common = { ref: refs[i]!, feature: features[i]! };
  if (values[i] !== expected) return [{ ...common, served: values[i]!, expected }];
  if (statuses[i] === status) return [];
  return [
    { ...common, served: `${expected} (${statuses[i]})`, expected: `${expected} (${status})` },
  ];
}
