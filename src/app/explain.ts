/**
 * Why this value? A feature as it is served, or as a training set has it, with everything that it came from: definitions, keys, the
 * events that counted, what was computed of them, and whether pages and history agree.
 */
import { SamewiseError } from '../base/errors.ts';
import { formatInstant, type InstantUs } from '../base/time.ts';
import { columnsOf, printExpr } from '../expr/index.ts';
import {
  assemble,
  type Catalog,
  fingerprint,
  keyColumnsOf,
  type Member,
  membersFor,
  outputName,
  planService,
  printRef,
  type ServicePlan,
  type Slot,
  type Status,
} from '../model/index.ts';
import { catalogAt, currentCatalog, registeredAt } from '../plan/index.ts';
import type { Registered } from '../registry/contract.ts';
import type { ServiceLevel } from '../registry/health_contract.ts';
import { compileMembers, requestRow, type ServiceProgram } from '../serving/index.ts';
import { keptPromise } from '../serving/kept_promise.ts';
import { computedStatus, storedSource, storedStatus } from '../serving/stand_in.ts';
import type { Batch } from '../types/batch.ts';
import { type Column, columnOf, scalarAt } from '../types/column.ts';
import { type Dtype, int64 } from '../types/dtype.ts';
import { encodeKey } from '../types/key.ts';
import { type Scalar, sameScalar, scalarToJsonText } from '../types/scalar.ts';
import { versionedName } from './ask.ts';
import {
  type Answer,
  type ExplainedLookup,
  explainLookup,
  type LookupToExplain,
} from './explain_lookup.ts';
import { typedRow } from './get.ts';
import type { App } from './open.ts';
import { type ExactJson, exactJson } from './told_json.ts';

/** Events that are told of each feature unless said otherwise. */
export const TOLD_EVENTS = 20;

export interface ExplainRequest {
  /** `view:feature`; with `service` the name of one of its outputs. */
  readonly feature: string;
  /** A service as `name` or `name@version`; null: none. */
  readonly service: string | null;
  /** Key columns and request data, as JSON has them. */
  readonly given: Readonly<Record<string, unknown>>;
  /** Null: now. */
  readonly atUs: InstantUs | null;
  readonly through: boolean;
  /** Events to tell of each feature. */
  readonly events: number;
  readonly signal?: AbortSignal;
}

/** A feature that was computed at the read, its expression and what that took. */
export interface ExplainedComputation {
  readonly feature: string;
  readonly expression: string;
  readonly inputs: readonly {
    readonly name: string;
    readonly value: ExactJson;
    readonly from: string;
  }[];
  /** Before its default. */
  readonly value: ExactJson;
  readonly default: ExactJson;
}

/** Where a value came from, all the way down. */
export interface Explanation {
  /** `view:feature`. */
  readonly feature: string;
  /** What it is called where it comes out. */
  readonly name: string;
  readonly service: { readonly name: string; readonly version: number } | null;
  /** Events strictly before this counted. */
  readonly at: string;
  readonly knowledge: 'final' | 'as-served';
  /** As served now, after defaults; of a training row: as its file has it. */
  readonly value: ExactJson;
  /** Whether the value is its own, or what stands in for it. */
  readonly status: Status;
  /** The same from history. */
  readonly recomputed: ExactJson;
  readonly agrees: boolean;
  /** In an order in which each one's key is there when its turn comes. */
  readonly lookups: readonly ExplainedLookup[];
  readonly computations: readonly ExplainedComputation[];
}

/**
 * Explains a feature as it would be served. Throws `model/…` and `plan/unknown-object` for names that are not registered, `serving/…` for
 * what is wrong with `given`, and as `explainLookup` does.
 */
export async function explain(app: App, request: ExplainRequest): Promise<Explanation> {
  return explainServed(app, request, (program, asked) =>
    requestRow(program, forOutput(program, asked, request.given), 'inputs'),
  );
}

/** Explains a feature as it would be served, of key columns and request data as a command line has them. Throws as `explain`. */
export async function explainTexts(
  app: App,
  texts: Readonly<Record<string, string>>,
  request: Omit<ExplainRequest, 'given'>,
): Promise<Explanation> {
  return explainServed(app, request, (program, asked) =>
    typedRow(program, forOutput(program, asked, texts)),
  );
}

/** What is given for all of a service's outputs does for one of them, which may need less. */
function forOutput<T>(
  { inputs }: ServiceProgram,
  asked: ReadonlySet<string>,
  given: Readonly<Record<string, T>>,
): Record<string, T> {
  const isOthers = (name: string) => asked.has(name) && !inputs.some((one) => one.name === name);
  return Object.fromEntries(Object.entries(given).filter(([name]) => !isOthers(name)));
}

async function explainServed(
  app: App,
  request: Omit<ExplainRequest, 'given'>,
  rowOf: (program: ServiceProgram, asked: ReadonlySet<string>) => readonly (Scalar | null)[],
): Promise<Explanation> {
  const registered = await app.registry.load();
  const { catalog, member, service, members } = memberOf(registered, request);
  const program = compileMembers(catalog, [member], request.feature);
  const { keyColumns, requestColumns } = planService(catalog, members);
  const asked = new Set([...keyColumns, ...requestColumns].map(({ name }) => name));
  const row = rowOf(program, asked);
  const columns = program.inputs.map(({ name, dtype }, i) => [name, columnOf(dtype, [row[i]!])]);
  const atUs = request.atUs ?? app.clock.nowUs();
  return new Explaining(app, registered, request).run({
    catalog,
    plan: program.plan,
    service,
    inputs: { length: 1, columns: Object.fromEntries(columns) },
    readUs: request.through ? atUs + 1 : atUs,
    knowledge: 'final',
    positions: null,
    written: null,
  });
}

/**
 * Explains a value of a training set: as of the row's own time, with the definitions, the history and the knowledge of its manifest.
 * Throws `app/no-such-row`, `app/unknown-feature`, `offline/bad-manifest` and `offline/cannot-sample` as well.
 */
export async function explainTraining(
  app: App,
  set: {
    /** The file, or its manifest. */
    readonly training: string;
    readonly row: number;
    readonly feature: string;
  },
  request: Pick<ExplainRequest, 'events' | 'signal'>,
): Promise<Explanation> {
  const { training, row, feature } = set;
  const manifest = /\.manifest\.json$/.test(training) ? training : `${training}.manifest.json`;
  const sample = await app.offline.sample(manifest, { row });
  if (sample.request.length === 0)
    throw new SamewiseError('app/no-such-row', `the training set has no row ${row}`, {
      where: { file: manifest },
      hint: 'rows are counted from 0',
    });
  const { catalog, members } = sample;
  const found = findMember(catalog, members, feature);
  const plan = planService(catalog, [found]);
  const name = plan.outputs[0]!.name;
  return new Explaining(app, await app.registry.load({ retired: true }), request).run({
    catalog,
    plan,
    service: null,
    inputs: sample.request,
    readUs: sample.timeUs[0]! + (sample.through ? 1 : 0),
    knowledge: sample.knowledge,
    positions: sample.positions,
    written: { value: scalarAt(sample.values.columns[name]!, 0) },
  });
}

function memberOf(
  registered: readonly Registered[],
  { feature, service }: Pick<ExplainRequest, 'feature' | 'service'>,
) {
  if (service === null) {
    const catalog = currentCatalog(registered);
    const members = membersFor(catalog, [feature]);
    return { catalog, member: members[0]!, members, service: null };
  }
  const ref = { kind: 'featureService', ...versionedName(service) } as const;
  const { name, version } = registeredAt(registered, ref);
  const catalog = catalogAt(registered, ref);
  const { members } = catalog.featureServices[name]!;
  const member = findMember(catalog, members, feature);
  return { catalog, member, members, service: { name, version } };
}

/** The member that puts a feature out under this name, with that feature alone. */
function findMember(catalog: Catalog, members: readonly Member[], name: string): Member {
  const names: string[] = [];
  for (const member of members) {
    const view = catalog.featureViews[member.view] ?? catalog.onDemandViews[member.view]!;
    for (const { name: feature } of view.features) {
      if (member.features !== null && !member.features.includes(feature)) continue;
      const output = outputName(member, feature);
      if (output === name) return { ...member, features: [feature] };
      names.push(output);
    }
  }
  throw new SamewiseError('app/unknown-feature', `there is no feature ${JSON.stringify(name)}`, {
    where: { feature: name },
    hint: `there are: ${names.join(', ')}`,
  });
}

/** One row of one output. */
interface Asked {
  readonly catalog: Catalog;
  readonly plan: ServicePlan;
  readonly service: Explanation['service'];
  readonly inputs: Batch;
  readonly readUs: InstantUs;
  readonly knowledge: Explanation['knowledge'];
  /** By source what of its stream's history counts; null: all. */
  readonly positions: ReadonlyMap<string, ReadonlyMap<string, bigint>> | null;
  /** What a training set has; null: ask the pages. */
  readonly written: { readonly value: Scalar | null } | null;
}

class Explaining {
  readonly #app: App;
  readonly #registered: readonly Registered[];
  readonly #request: Pick<ExplainRequest, 'events' | 'signal'>;

  constructor(
    app: App,
    registered: readonly Registered[],
    request: Pick<ExplainRequest, 'events' | 'signal'>,
  ) {
    this.#app = app;
    this.#registered = registered;
    this.#request = request;
  }

  async run(asked: Asked): Promise<Explanation> {
    const { plan, inputs, readUs, knowledge, written, service } = asked;
    const lookups: ExplainedLookup[] = [];
    /** Before defaults, by look-up and by its features: from pages, and from history. */
    const online: Column[][] = [];
    const recomputed: Column[][] = [];
    const statuses = { online: [] as AnswerRow[][], recomputed: [] as AnswerRow[][] };
    // Of a training set there is only one side.
    const looked = written === null ? online : recomputed;
    const levels = await this.#app.registry.serviceLevels();
    for (const lookup of plan.lookups) {
      const parts = keyColumnsOf(plan, lookup, looked, inputs).map((part) => scalarAt(part, 0));
      const answers = [];
      for (const feature of lookup.features) {
        const answer = await explainLookup(this.#lookup(asked, lookup, feature, parts, levels));
        lookups.push(answer.told);
        answers.push(answer);
      }
      const fromPages = answers.flatMap((answer) => answer.online ?? []);
      online.push(columnsOfLookup(lookup, fromPages));
      statuses.online.push(answerRow(fromPages));
      const fromHistory = answers.map((answer) => answer.recomputed);
      recomputed.push(columnsOfLookup(lookup, fromHistory));
      statuses.recomputed.push(answerRow(fromHistory));
    }
    const output = plan.outputs[0]!;
    const json = (value: Scalar | null) => exactJson(scalarToJsonText(value, output.dtype));
    const valueFrom = (from: Column[][]) => scalarAt(assemble(plan, from, inputs).columns[0]!, 0);
    const value = written === null ? valueFrom(online) : written.value;
    const again = valueFrom(recomputed);
    return {
      feature: output.ref,
      name: output.name,
      service,
      at: formatInstant(readUs),
      knowledge,
      value: json(value),
      status: statusOfOutput(
        plan,
        written === null ? statuses.online : statuses.recomputed,
        assemble(plan, looked, inputs).raw[0]!,
      ),
      recomputed: json(again),
      agrees: sameScalar(value, again),
      lookups,
      computations: computationsOf(plan, looked, inputs),
    };
  }

  #lookup(
    { catalog, plan, readUs, knowledge, positions, written }: Asked,
    lookup: ServicePlan['lookups'][number],
    feature: number,
    parts: readonly (Scalar | null)[],
    levels: readonly ServiceLevel[],
  ): LookupToExplain {
    const { program } = lookup;
    const { online, offline, coldTier } = this.#app;
    const meaning = fingerprint(program.view, catalog);
    const version = this.#registered.find((one) => one.fingerprint === meaning)?.version;
    const { view } = program;
    const kept =
      version === undefined
        ? null
        : keptPromise(view, version, view.features[feature]!.name, levels, this.#app.clock.nowUs());
    return {
      online,
      offline,
      bringBack: coldTier.bringBack,
      catalog,
      program,
      version: version ?? null,
      freshness: kept && { within_ms: kept.within_ms, state: kept.state, lag_ms: kept.lag_ms },
      feature,
      key: parts.includes(null) ? null : encodeKey(parts, program.keyDtypes),
      parts,
      keys: lookup.keys.map((slot, i) => ({
        name: program.entity.key[i]!.name,
        value: exactJson(scalarToJsonText(parts[i]!, program.keyDtypes[i]!)),
        from: fromOf(plan, slot),
      })),
      readUs,
      knowledge,
      upTo: positions?.get(program.source.name) ?? null,
      asksPage: written === null,
      events: this.#request.events,
      signal: this.#request.signal,
    };
  }
}

type AnswerRow = { values: (Scalar | null)[]; statuses: Status[] };

/** Of one row, as what stands in is looked for. */
function answerRow(answers: readonly Answer[]): AnswerRow[] {
  return [
    { values: answers.map(({ value }) => value), statuses: answers.map(({ status }) => status) },
  ];
}

/** A look-up's columns, as `assemble` takes them. */
function columnsOfLookup(
  { dtypes, tellsFound }: ServicePlan['lookups'][number],
  answers: readonly Answer[],
): Column[] {
  const columns = answers.map(({ value }, i) => columnOf(dtypes[i]!, [value]));
  if (!tellsFound) return columns;
  const found = answers.some(({ status }) => status !== 'NOT_FOUND');
  return [...columns, columnOf(int64, [found ? 1n : 0n])];
}

function statusOfOutput(plan: ServicePlan, answers: AnswerRow[][], raw: Column): Status {
  const { from } = plan.outputs[0]!;
  if (from.from !== 'computed') return storedStatus(answers, 0, storedSource(plan, from));
  const fallback = plan.computations[from.step]!.defaults[from.index]!;
  const source = { lookup: -1, index: from.index, default: fallback, fallbacks: [] };
  return computedStatus(raw, 0, source);
}

/** Where an input comes from: `request.amount`, or `view:feature`. */
function fromOf(plan: ServicePlan, slot: Slot): string {
  const { lookups, chains, computations } = plan;
  if (slot.from === 'request') return `request.${slot.column}`;
  if (slot.from === 'lookup') {
    const { program, features } = lookups[slot.lookup]!;
    return printRef(program.view.name, program.view.features[features[slot.index]!]!.name);
  }
  if (slot.from === 'chain') {
    const names = chains[slot.chain]!.levels.map((level) => fromOf(plan, level));
    return names.join(', or else ');
  }
  const { view, features } = computations[slot.step]!;
  return printRef(view.name, view.features[features[slot.index]!]!.name);
}

/** Every expression that was computed for the output, in the order in which they ran. */
function computationsOf(
  plan: ServicePlan,
  looked: readonly (readonly Column[])[],
  inputs: Batch,
): ExplainedComputation[] {
  const common = { name: '', ref: '', description: '' };
  /** What the model makes of a slot; `raw` is before defaults. */
  const textOf = (slot: Slot, dtype: Dtype, raw = false): ExactJson => {
    if (slot.from === 'request')
      return exactJson(scalarToJsonText(scalarAt(inputs.columns[slot.column]!, 0), dtype));
    const outputs = [{ ...common, dtype, from: slot }];
    const made = assemble({ ...plan, outputs }, looked, inputs);
    return exactJson(scalarToJsonText(scalarAt((raw ? made.raw : made.columns)[0]!, 0), dtype));
  };
  return plan.computations.flatMap((computation, step) => {
    const { view, features, dtypes, defaults } = computation;
    return features.map((feature, index): ExplainedComputation => {
      const { name, expr } = view.features[feature]!;
      const used = columnsOf(expr);
      const dtype = dtypes[index]!;
      return {
        feature: printRef(view.name, name),
        expression: printExpr(expr),
        inputs: computation.inputs
          .filter((input) => used.has(input.name))
          .map((input) => ({
            name: input.name,
            value: textOf(input.slot, dtypeOf(plan, input.slot)),
            from: fromOf(plan, input.slot),
          })),
        value: textOf({ from: 'computed', step, index }, dtype, true),
        default: exactJson(scalarToJsonText(defaults[index]!, dtype)),
      };
    });
  });
}

function dtypeOf(plan: ServicePlan, slot: Slot): Dtype {
  const { keyColumns, requestColumns, lookups, chains, computations } = plan;
  switch (slot.from) {
    case 'request':
      return [...keyColumns, ...requestColumns].find(({ name }) => name === slot.column)!.dtype;
    case 'lookup':
      return lookups[slot.lookup]!.dtypes[slot.index]!;
    case 'chain':
      return chains[slot.chain]!.dtype;
    case 'computed':
      return computations[slot.step]!.dtypes[slot.index]!;
  }
}
