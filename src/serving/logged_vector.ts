/** Vectors that were read, as the feature log keeps them. */
import type { InstantUs } from '../base/time.ts';
import type { LoggedPage, LoggedVector } from '../offline/feature_log_contract.ts';
import { pagesIdAt } from '../plan/index.ts';
import type { Registered } from '../registry/contract.ts';
import { scalarToJsonText } from '../types/scalar.ts';
import type { FeatureLog } from './feature_log.ts';
import type { PageAnswer } from './pages.ts';
import type { ServiceProgram } from './service_program.ts';
import type { RequestRow, Vectors } from './vector.ts';

/** What is read, for whom, and when. */
export interface Served {
  /** What the client calls the request; null: an id is made. */
  readonly requestId: string | null;
  readonly registered: readonly Registered[];
  /** What was asked for each entity, in the order of the program's inputs. */
  readonly rows: readonly RequestRow[];
  readonly readUs: InstantUs;
  readonly servedUs: InstantUs;
}

/** Logs the `chosen` rows of vectors that were read with their positions. */
export function logVectors(
  log: FeatureLog,
  vectors: Vectors,
  chosen: readonly number[],
  { requestId: given, registered, rows, readUs, servedUs }: Served,
): void {
  const requestId = given ?? log.nextId();
  const { program } = vectors;
  const { features, refs } = namesOf(program);
  const service = program.version === 0 ? null : { name: program.name, version: program.version };
  for (const row of chosen)
    log.add({
      requestId,
      row,
      servedUs,
      readUs,
      service,
      inputs: inputsOf(program, rows[row]!),
      features,
      refs,
      values: program.plan.outputs.map(({ dtype }, i) =>
        scalarToJsonText(vectors.value(row, i), dtype),
      ),
      statuses: program.plan.outputs.map((_, i) => vectors.status(row, i)),
      pages: vectors.pages(row).map((page, i) => loggedPage(program, i, page, registered)),
    });
}

function inputsOf({ inputs }: ServiceProgram, row: RequestRow): string {
  const fields = inputs.map(
    ({ name, dtype }, i) => `${JSON.stringify(name)}:${scalarToJsonText(row[i]!, dtype)}`,
  );
  return `{${fields.join()}}`;
}

function loggedPage(
  { plan }: ServiceProgram,
  lookup: number,
  { page, positions, values, statuses, eventTimeUs }: PageAnswer,
  registered: readonly Registered[],
): LoggedPage {
  const { program, features, dtypes } = plan.lookups[lookup]!;
  return {
    view: program.view.name,
    version: versionsOf(registered).get(program.id) ?? 0,
    id: program.id,
    key: page?.key.toHex() ?? null,
    positions:
      positions &&
      Object.fromEntries([...positions].map(([partition, at]) => [partition, String(at)])),
    features: features.map((feature) => program.view.features[feature]!.name),
    values: values.map((value, i) => scalarToJsonText(value, dtypes[i]!)),
    statuses,
    eventTimeUs,
  };
}

const names = new WeakMap<ServiceProgram, Pick<LoggedVector, 'features' | 'refs'>>();

function namesOf(program: ServiceProgram): Pick<LoggedVector, 'features' | 'refs'> {
  const { outputs } = program.plan;
  return names.getOrInsertComputed(program, () => ({
    features: outputs.map(({ name }) => name),
    refs: outputs.map(({ ref }) => ref),
  }));
}

const versions = new WeakMap<readonly Registered[], ReadonlyMap<string, number>>();

/** Versions of the views by the ids of their pages; where several have the same, the current one. */
export function versionsOf(registered: readonly Registered[]): ReadonlyMap<string, number> {
  return versions.getOrInsertComputed(registered, () => {
    const views = registered.filter(({ kind }) => kind === 'featureView');
    const currentLast = views.toSorted(
      (a, b) => Number(a.state === 'current') - Number(b.state === 'current'),
    );
    return new Map(currentLast.map((view) => [pagesIdAt(registered, view), view.version]));
  });
}
