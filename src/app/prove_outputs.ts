/** What was answered, computed again from what the pages said: what stands in, keys of look-ups via features, on-demand features. */
import { SamewiseError } from '../base/errors.ts';
import { parseExactJson } from '../base/exact_json.ts';
import {
  assemble,
  catalogOf,
  definitionsOf,
  keyColumnsOf,
  membersFor,
  parseRef,
} from '../model/index.ts';
import type { LoggedVector } from '../offline/feature_log_contract.ts';
import { catalogAt } from '../plan/index.ts';
import type { Registered } from '../registry/contract.ts';
import { compileMembers, compileService, type ServiceProgram } from '../serving/index.ts';
import { computedStatus, storedStatus } from '../serving/stand_in.ts';
import type { Batch } from '../types/batch.ts';
import { columnOf, scalarAt } from '../types/column.ts';
import { int64 } from '../types/dtype.ts';
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
  readonly #lists = new Map<string, ServiceProgram | null>();

  /** `registered`: with what is retired. */
  constructor(registered: readonly Registered[]) {
    this.#registered = registered;
  }

  /** What differs of a vector whose pages could all be proven; null: what was asked for is not registered. */
  prove(vector: LoggedVector, pages: readonly PageProof[]): OutputDifference[] | null {
    const program = vector.service === null ? this.#listOf(vector) : this.#serviceOf(vector);
    const lookups = program?.plan.lookups ?? [];
    const same =
      program !== null &&
      lookups.length === pages.length &&
      lookups.every((lookup, i) => lookup.program.id === vector.pages[i]!.id);
    return same ? proveService(program, vector, pages) : null;
  }

  /** An ad-hoc list, of the views at their versions of then; on-demand views, which have no pages, as they are now. */
  #listOf({ refs, pages }: LoggedVector): ServiceProgram | null {
    const views = [...new Set(refs.map((ref) => parseRef(ref).view))].map((name) => {
      const version = pages.find(({ view }) => view === name)?.version;
      return version === undefined
        ? { kind: 'onDemandView' as const, name }
        : { kind: 'featureView' as const, name, version };
    });
    return this.#lists.getOrInsertComputed(JSON.stringify([refs, views]), () =>
      orNull(() => {
        const catalogs = views.map((view) => catalogAt(this.#registered, view));
        const catalog = catalogOf(catalogs.flatMap(definitionsOf));
        // A prefix each, for features of two views may have one name.
        const members = membersFor(catalog, refs).map((member, i) => ({ ...member, as: `m${i}` }));
        return compileMembers(catalog, members);
      }),
    );
  }

  #serviceOf({ service }: LoggedVector): ServiceProgram | null {
    const { name, version } = service!;
    return this.#services.getOrInsertComputed(`${name}@${version}`, () =>
      orNull(() => {
        const ref = { kind: 'featureService', name, version } as const;
        return compileService(catalogAt(this.#registered, ref), name, version);
      }),
    );
  }
}

/** Null where something is not registered. */
function orNull<T>(compile: () => T): T | null {
  try {
    return compile();
  } catch (error) {
    if (error instanceof SamewiseError && error.code === 'plan/unknown-object') return null;
    throw error;
  }
}

function proveService(
  { plan, inputs, sources }: ServiceProgram,
  vector: LoggedVector,
  pages: readonly PageProof[],
): OutputDifference[] {
  const answers = pages.map(({ values }, i) => answered(values, vector.pages[i]!.statuses));
  const looked = plan.lookups.map((lookup, i) => {
    const { values } = answers[i]!;
    const columns = lookup.dtypes.map((dtype, at) => columnOf(dtype, [values[at]!]));
    if (!lookup.tellsFound) return columns;
    const found = vector.pages[i]!.eventTimeUs === null ? 0n : 1n;
    return [...columns, columnOf(int64, [found])];
  });
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
  plan.outputs.forEach(({ dtype }, i) => {
    const expected = scalarToJsonText(scalarAt(columns[i]!, 0), dtype);
    const source = sources[i]!;
    const status =
      source.lookup < 0
        ? computedStatus(raw[i]!, 0, source)
        : storedStatus(
            answers.map((answer) => [answer]),
            0,
            source,
          );
    out.push(...differs(vector, i, expected, status));
  });
  return out;
}

/** What a page answered: the values that it has, but for those that were withheld. */
function answered(
  values: PageProof['values'],
  statuses: LoggedVector['pages'][number]['statuses'],
) {
  return { statuses, values: values.map((value, i) => (statuses[i] === 'STALE' ? null : value)) };
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
