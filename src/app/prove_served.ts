/**
 * The proof of what was served: logged vectors computed again from history, with what their pages had absorbed, bit for bit.
 *
 * Each source is scanned once for up to a thousand entity keys of a view, however many vectors were read of them and at however many
 * states: `prove_rows.ts` makes the states from the deliveries.
 */
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import { compileView, type ViewProgram } from '../model/index.ts';
import type { Delivery, OfflineStore } from '../offline/contract.ts';
import type { LoggedPage, LoggedVector } from '../offline/feature_log_contract.ts';
import type { HistoryState } from '../offline/history_contract.ts';
import { catalogAt, pagesIdAt } from '../plan/index.ts';
import type { Registered } from '../registry/contract.ts';
import { runJob } from './jobs.ts';
import type { App } from './open.ts';
import { OutputProver } from './prove_outputs.ts';
import {
  type Built,
  type Explained,
  neededFrom,
  type PageProof,
  provePage,
  type ToldEvent,
} from './prove_page.ts';
import { DeliveredRows } from './prove_rows.ts';

export interface ProveServedRequest {
  /** Only vectors of this service; null: all. */
  readonly service: string | null;
  /** Only vectors that were served at or after this. */
  readonly sinceUs: InstantUs;
  /** At most so many, spread evenly. */
  readonly limit: number;
  readonly onProgress?: (progress: { view: string; version: number; reads: number }) => void;
  readonly signal?: AbortSignal;
}

/**
 * Why a vector cannot be proven: history has not got, or no longer has, what its pages had (`not-in-history`); the view or service version
 * is not in the registry (`not-registered`); the source cannot be read, by the code of the error; a key has too many deliveries to be held in memory.
 */
export type Unprovable = 'not-in-history' | 'not-registered' | 'too-large' | `offline/${string}`;

/** A value that is not what history says of the events that its page had absorbed. */
export interface ServedMismatch {
  readonly requestId: string;
  /** 0-based entity of the request. */
  readonly row: number;
  readonly servedUs: InstantUs;
  readonly readUs: InstantUs;
  readonly service: string | null;
  readonly view: string;
  /** A printed entity key, such as `customer_id=7`; empty where it is of no page. */
  readonly key: string;
  readonly feature: string;
  /** JSON texts. */
  readonly served: string;
  readonly expected: string;
  /** Any of these alone would explain it. */
  readonly events: readonly ToldEvent[];
}

/** A vector's page that is right and not what history says by now. */
export interface StaleRead
  extends Pick<ServedMismatch, 'requestId' | 'row' | 'servedUs' | 'readUs' | 'view' | 'key'> {
  /** Some of the events had arrived when it was read. */
  readonly behind: boolean;
  readonly events: readonly ToldEvent[];
}

export interface ProvenView {
  readonly view: string;
  readonly version: number;
  /** Answers of pages that were compared. */
  readonly reads: number;
  readonly values: number;
  readonly mismatches: number;
  /** Reads that had to be explained by more than positions, by what. */
  readonly explained: Readonly<Record<Explained, number>>;
  /** Reads that are right and lacked what had arrived, or what arrived later. */
  readonly behind: number;
  readonly later: number;
}

export interface ServedProof {
  readonly vectors: number;
  /** Of the vectors that could be proven. */
  readonly values: number;
  readonly proven: number;
  /** Vectors that could not, by why. */
  readonly unprovable: Readonly<Record<string, number>>;
  /** All; the first thousand are told. */
  readonly mismatches: number;
  readonly told: readonly ServedMismatch[];
  readonly stale: readonly StaleRead[];
  readonly views: readonly ProvenView[];
}

/** Mismatches and stale reads that are told one by one. */
const MAX_TOLD = 1_000;
const MAX_STALE_TOLD = 100;
/** Keys that one scan of a source is for, and deliveries of them that are held in memory. */
const KEYS_A_SCAN = 1_000;
const MAX_DELIVERIES = 300_000;

/** One page of one vector. */
interface Read {
  readonly vector: number;
  /** Its place among the vector's pages. */
  readonly at: number;
  readonly page: LoggedPage;
}

/** Proves logged vectors, each view as a job. Throws `app/no-feature-log`, `offline/bad-feature-log`, `registry/…`. */
export async function proveServed(app: App, request: ProveServedRequest): Promise<ServedProof> {
  if (app.featureLog === null) {
    throw new SamewiseError('app/no-feature-log', 'the project logs no vectors', {
      where: { field: 'featureLog' },
      hint: 'set "featureLog" in samewise.config.json, as in "file:.samewise/feature-log?share=0.01"',
    });
  }
  const { service, sinceUs, limit } = request;
  const vectors = await app.featureLog.read({ service, sinceUs, limit });
  return new Proving(app, request, vectors, await app.registry.load({ retired: true })).run();
}

class Proving {
  readonly #app: App;
  readonly #request: ProveServedRequest;
  readonly #vectors: readonly LoggedVector[];
  readonly #registered: readonly Registered[];
  /** By vector, then by page. */
  readonly #proofs: (PageProof | Unprovable)[][];
  readonly #views: ProvenView[] = [];
  readonly #told: ServedMismatch[] = [];
  readonly #stale: StaleRead[] = [];
  #mismatches = 0;

  constructor(
    app: App,
    request: ProveServedRequest,
    vectors: readonly LoggedVector[],
    registered: readonly Registered[],
  ) {
    this.#app = app;
    this.#request = request;
    this.#vectors = vectors;
    this.#registered = registered;
    this.#proofs = vectors.map(() => []);
  }

  async run(): Promise<ServedProof> {
    const reads = this.#vectors.flatMap(({ pages }, vector) =>
      pages.map((page, at): Read => ({ vector, at, page })),
    );
    for (const [id, some] of Map.groupBy(reads, ({ page }) => page.id)) {
      const view = this.#registered.find(
        (object) => object.kind === 'featureView' && pagesIdAt(this.#registered, object) === id,
      );
      if (view === undefined) this.#give(some, 'not-registered');
      else await this.#proveView(view, some);
    }
    return this.#outputs();
  }

  #give(reads: readonly Read[], proof: PageProof | Unprovable): void {
    for (const { vector, at } of reads) this.#proofs[vector]![at] = proof;
  }

  async #proveView({ name, version }: Registered, reads: readonly Read[]): Promise<void> {
    const { registry, clock, history } = this.#app;
    const { signal, onProgress } = this.#request;
    const catalog = catalogAt(this.#registered, { kind: 'featureView', name, version });
    const program = compileView(catalog, name);
    await runJob({ registry, clock, signal }, { kind: 'prove', view: name, version }, async () => {
      const state = await history.state(program.source.name);
      const built = await this.#builtOf(name, version);
      const known = reads.filter(({ page }) => reaches(state, page));
      this.#give(
        reads.filter((read) => !known.includes(read)),
        'not-in-history',
      );
      const lateness = [...state.partitions.values()].some(({ late }) => late > 0);
      const ask = { catalog, view: name, lateness, signal };
      const fromUs = known.map(({ vector, page }) =>
        neededFrom(program, page, this.#vectors[vector]!.readUs),
      );
      let done = 0;
      // What needs old events has a scan of its own, for all others read the newest files alone.
      for (const all of [false, true]) {
        const some = known.filter((_, i) => (fromUs[i] === Number.NEGATIVE_INFINITY) === all);
        const leastUs = fromUs.reduce(
          (least, us) => (Number.isFinite(us) ? Math.min(least, us) : least),
          Number.POSITIVE_INFINITY,
        );
        const byKey = [...Map.groupBy(some, ({ page }) => page.key ?? '')];
        for (let from = 0; from < byKey.length; from += KEYS_A_SCAN) {
          const keys = byKey.slice(from, from + KEYS_A_SCAN);
          await this.#proveKeys(program, { ...ask, fromUs: all ? null : leastUs }, keys, built);
          done += keys.reduce((sum, [, of]) => sum + of.length, 0);
          onProgress?.({ view: name, version, reads: done });
        }
      }
      const proven = this.#count(name, version, reads);
      this.#views.push(proven);
      await registry.putComparison({
        view: name,
        version,
        by: 'prove',
        atUs: clock.nowUs(),
        compared: proven.values,
        different: proven.mismatches,
        causes: { ...proven.explained, behind: proven.behind, later: proven.later },
        notes: '',
      });
      return { rows: proven.reads, bytes: 0 };
    });
  }

  /** Keys with their reads, in one scan, or in two halves if they have too much. */
  async #proveKeys(
    program: ViewProgram,
    ask: Omit<Parameters<OfflineStore['deliveries']>[0], 'keys' | 'limit'>,
    byKey: readonly (readonly [string, readonly Read[]])[],
    built: readonly Built[],
  ): Promise<void> {
    const keys = byKey.flatMap(([key]) => (key === '' ? [] : [Uint8Array.fromHex(key)]));
    let deliveries: Delivery[] = [];
    try {
      if (keys.length > 0)
        deliveries = await this.#app.offline.deliveries({ ...ask, keys, limit: MAX_DELIVERIES });
    } catch (error) {
      if (!(error instanceof SamewiseError)) throw error;
      const nothing = error.code === 'offline/no-history';
      if (!nothing && !GONE.includes(error.code)) throw error;
      // A source that has nothing yet has pages of nothing.
      if (!nothing || byKey.some(([, reads]) => reads.some(({ page }) => page.positions !== null)))
        return byKey.forEach(([, reads]) => {
          this.#give(reads, error.code as Unprovable);
        });
    }
    if (deliveries.length === MAX_DELIVERIES) {
      if (byKey.length === 1) return this.#give(byKey[0]![1], 'too-large');
      const half = byKey.length >> 1;
      await this.#proveKeys(program, ask, byKey.slice(0, half), built);
      return this.#proveKeys(program, ask, byKey.slice(half), built);
    }
    const delivered = new DeliveredRows(program, deliveries);
    for (const [, reads] of byKey)
      for (const { vector, at, page } of reads) {
        this.#request.signal?.throwIfAborted();
        const proof = provePage(delivered, page, this.#vectors[vector]!, built);
        this.#proofs[vector]![at] = proof;
        this.#tellPage(vector, page, proof, delivered);
      }
  }

  async #builtOf(view: string, version: number): Promise<Built[]> {
    const jobs = await this.#app.registry.jobs({ view }, Number.MAX_SAFE_INTEGER);
    return jobs
      .filter((job) => job.version === version && BUILDS.includes(job.kind))
      .map(({ kind, startedUs, finishedUs, status }) => ({
        startedUs,
        finishedUs: status === 'interrupted' ? null : finishedUs,
        whole: status === 'succeeded' && kind === 'materialize',
      }));
  }

  #count(view: string, version: number, reads: readonly Read[]): ProvenView {
    const explained = { late: 0, built: 0, materialized: 0 };
    const counts = { reads: 0, values: 0, mismatches: 0, behind: 0, later: 0 };
    for (const { vector, at, page } of reads) {
      const proof = this.#proofs[vector]![at]!;
      if (typeof proof === 'string') continue;
      counts.reads++;
      counts.values += page.features.length;
      counts.mismatches += proof.differences.length;
      for (const why of proof.explained) explained[why]++;
      if (proof.stale?.behind === true) counts.behind++;
      else if (proof.stale !== null) counts.later++;
    }
    return { view, version, ...counts, explained };
  }

  #tellPage(vector: number, page: LoggedPage, proof: PageProof, delivered: DeliveredRows): void {
    const key = page.key === null ? '' : delivered.printed(Uint8Array.fromHex(page.key));
    for (const difference of proof.differences)
      this.#tell(vector, { view: page.view, key, ...difference, events: proof.suspects });
    if (proof.stale === null || this.#stale.length === MAX_STALE_TOLD) return;
    const { requestId, row, servedUs, readUs } = this.#vectors[vector]!;
    this.#stale.push({ requestId, row, servedUs, readUs, view: page.view, key, ...proof.stale });
  }

  #tell(
    vector: number,
    what: Pick<ServedMismatch, 'view' | 'key' | 'feature' | 'served' | 'expected' | 'events'>,
  ): void {
    this.#mismatches++;
    if (this.#told.length === MAX_TOLD) return;
    const { requestId, row, servedUs, readUs, service } = this.#vectors[vector]!;
    const name = service && `${service.name}@${service.version}`;
    this.#told.push({ requestId, row, servedUs, readUs, service: name, ...what });
  }

  /** What was made of the pages: defaults, keys via features, on-demand features. */
  #outputs(): ServedProof {
    const prover = new OutputProver(this.#registered);
    const unprovable: Record<string, number> = {};
    let values = 0;
    let proven = 0;
    this.#vectors.forEach((vector, i) => {
      const proofs = this.#proofs[i]!;
      const isProven = (proof: PageProof | Unprovable): proof is PageProof =>
        typeof proof !== 'string';
      const differences = proofs.every(isProven) ? prover.prove(vector, proofs) : null;
      if (differences === null) {
        const why = proofs.find((proof) => typeof proof === 'string') ?? 'not-registered';
        unprovable[why] = (unprovable[why] ?? 0) + 1;
        return;
      }
      proven++;
      values += vector.values.length;
      // What follows from a page that is wrong is told of the page.
      if (proofs.some((proof) => isProven(proof) && proof.differences.length > 0)) return;
      for (const { ref, ...difference } of differences) {
        const view = ref.slice(0, ref.indexOf(':'));
        this.#tell(i, { view, key: '', ...difference, events: [] });
      }
    });
    return {
      vectors: this.#vectors.length,
      values,
      proven,
      unprovable,
      mismatches: this.#mismatches,
      told: this.#told,
      stale: this.#stale,
      views: this.#views,
    };
  }
}

/** Kinds of jobs that make pages from history. */
const BUILDS = ['materialize', 'entities', 'repair'];

/** What is said of a source that can no longer be read as it was. */
const GONE = ['offline/no-files', 'offline/unreadable-file', 'offline/missing-column'];

/** Whether history has come as far as the page. */
function reaches({ partitions }: HistoryState, { positions }: LoggedPage): boolean {
  return Object.entries(positions ?? {}).every(
    ([partition, position]) => (partitions.get(partition)?.position ?? -1n) >= BigInt(position),
  );
}
