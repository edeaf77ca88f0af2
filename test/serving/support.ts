/** Fakes of the contracts and small definitions, for tests of serving. */

import { LIFETIME, type Window } from '../../src/aggregate/window.ts';
import { manualClock } from '../../src/base/clock.ts';
import { parseDuration } from '../../src/base/duration.ts';
import { nearest, SamewiseError } from '../../src/base/errors.ts';
import { parseInstant } from '../../src/base/time.ts';
import {
  catalogOf,
  compileView,
  DEFAULT_STREAM,
  type Definition,
  definitionsOf,
  type Entity,
  eventIds,
  type Feature,
  type FeatureView,
  type Source,
} from '../../src/model/index.ts';
import type { OfflineStore, TrainingRequest } from '../../src/offline/contract.ts';
import type { Head, OnlineStore, PageKey } from '../../src/online/contract.ts';
import type { Registered, Registry } from '../../src/registry/contract.ts';
import { buildServer, type Catalogs, type ServerOptions } from '../../src/serving/index.ts';
import { buildPages } from '../../src/timeline/index.ts';
import { columnOf, gather, scalarAt } from '../../src/types/column.ts';
import {
  type Dtype,
  float64,
  int64,
  printDtype,
  string,
  timestamp,
} from '../../src/types/dtype.ts';
import { encodeKey } from '../../src/types/key.ts';
import { compareScalars, type Scalar } from '../../src/types/scalar.ts';

const described = { description: '', owner: 'team', tags: {} };

export function entity(name: string, key: Record<string, Dtype>): Entity {
  return {
    ...described,
    kind: 'entity',
    name,
    key: Object.entries(key).map(([column, dtype]) => ({ name: column, dtype })),
  };
}

/** A source with the event time `at` and the event id `id` beside its columns. */
export function source(name: string, columns: Record<string, Dtype>): Source {
  return {
    ...described,
    kind: 'source',
    name,
    columns: Object.entries({ id: int64, at: timestamp, ...columns }).map(([column, dtype]) => ({
      name: column,
      dtype,
    })),
    eventTime: 'at',
    eventId: 'id',
    lookups: [],
    arrivalTime: null,
    op: null,
    mutable: false,
    latenessUs: 0,
    batch: null,
    stream: DEFAULT_STREAM,
  };
}

export function over(size: string | null, change: Partial<Window> = {}): Window {
  return { ...LIFETIME, sizeUs: size === null ? null : parseDuration(size), ...change };
}

export function feature(
  name: string,
  dtype: Dtype,
  fn: string,
  input: string | null,
  window: Window,
  fallback: unknown = null,
  params: Record<string, number> = {},
): Feature {
  return {
    name,
    description: `the ${name}`,
    tags: {},
    dtype,
    aggregate: { fn, params },
    input: input === null ? null : { kind: 'column', name: input },
    window,
    default: fallback,
    freshnessUs: null,
  };
}

export function view(
  name: string,
  entityName: string,
  keys: string[],
  sourceName: string,
  features: Feature[],
): FeatureView {
  return {
    ...described,
    kind: 'featureView',
    name,
    entity: entityName,
    source: sourceName,
    keys,
    where: null,
    features,
    freshnessUs: null,
    retentionUs: null,
  };
}

/** Pages in memory; `before` runs ahead of each call, for instance to fail. */
export function memoryOnline(): OnlineStore & {
  before: (call: string) => void;
  readonly pages: Map<string, { head: Head; blocks: Map<number, Uint8Array> }>;
  roundTrips: number;
} {
  const pages = new Map<string, { head: Head; blocks: Map<number, Uint8Array> }>();
  const name = ({ view: id, key }: PageKey) => `${id}/${key.toHex()}`;
  let turn: Promise<void> | null = null;
  /** All that is asked before the first answer comes is one round trip. */
  const roundTrip = () => {
    if (turn === null) {
      store.roundTrips++;
      turn = new Promise((done) =>
        setImmediate(() => {
          turn = null;
          done();
        }),
      );
    }
    return turn;
  };
  const store = {
    pages,
    roundTrips: 0,
    before: (_: string) => {},
    async heads(keys: readonly PageKey[]) {
      store.before('heads');
      await roundTrip();
      return keys.map((key) => pages.get(name(key))?.head);
    },
    async blocks(key: PageKey, blocks: readonly number[]) {
      store.before('blocks');
      return blocks.map((number) => pages.get(name(key))?.blocks.get(number));
    },
    async compareAndSet(writes: Parameters<OnlineStore['compareAndSet']>[0]) {
      return writes.map((write) => {
        const page = pages.get(name(write));
        if ((page?.head.version ?? 0) !== write.expect) return false;
        if (write.head === null) return pages.delete(name(write));
        const blocks = new Map([...(page?.blocks ?? []), ...write.putBlocks]);
        for (const number of write.dropBlocks) blocks.delete(number);
        pages.set(name(write), {
          head: { bytes: write.head, version: write.expect + 1 },
          blocks,
        });
        return true;
      });
    },
    async fence() {
      return 0;
    },
    async *scan() {},
    async size() {
      return { keys: pages.size, bytes: 0 };
    },
    async dropView() {},
    async getMeta() {
      store.before('getMeta');
      return undefined;
    },
    async putMeta() {},
    async close() {},
  };
  return store;
}

/** A registry of definitions in version 1; `define` adds more, as a new revision. */
export function memoryRegistry(definitions: readonly Definition[]): Registry & {
  define(more: readonly Definition[]): void;
  before: () => void;
} {
  const registered: Registered[] = [];
  let head = 0;
  const registry = {
    before: () => {},
    define(more: readonly Definition[]) {
      head++;
      for (const definition of more) {
        const { kind, name } = definition;
        const old = registered.filter((r) => r.kind === kind && r.name === name);
        for (const each of old) registered[registered.indexOf(each)] = { ...each, state: 'pinned' };
        registered.push({
          kind,
          name,
          version: old.length + 1,
          fingerprint: '',
          definition,
          pins: {},
          revision: head,
          state: 'current',
        });
      }
    },
    async head() {
      registry.before();
      return head;
    },
    async load() {
      return [...registered];
    },
    async serviceLevels() {
      return [];
    },
    connection: () => ({ connected: true, lost: 0 }),
    onMoved: () => {},
    async search(text: string, filter: { entity?: string } = {}, limit = 100) {
      const hits = registered.flatMap((r) =>
        r.definition.kind !== 'featureView' || r.state !== 'current'
          ? []
          : r.definition.features.map((f) => ({
              ref: `${r.name}:${f.name}`,
              view: r.name,
              feature: f.name,
              entity: (r.definition as FeatureView).entity,
              dtype: printDtype(f.dtype),
              owner: r.definition.owner,
              description: f.description,
              tags: {},
              version: r.version,
            })),
      );
      return hits
        .filter((hit) => hit.ref.includes(text))
        .filter((hit) => filter.entity === undefined || hit.entity === filter.entity)
        .slice(0, limit);
    },
    async close() {},
  };
  registry.define(definitions);
  return registry as unknown as ReturnType<typeof memoryRegistry>;
}

/** Takes what is current; a service's version is looked up by its number. */
export const catalogs: Catalogs = {
  current: (registered) =>
    catalogOf(registered.filter(({ state }) => state === 'current').map((r) => r.definition)),
  ofService: (registered, name, version) => {
    const current = definitionsOf(catalogs.current(registered)).filter(
      (d) => d.kind !== 'featureService',
    );
    const service = registered.find(
      (r) => r.kind === 'featureService' && r.name === name && r.version === version,
    )!;
    return catalogOf([...current, service.definition]);
  },
};

/** Writes the timelines of a view's events, given as rows in the source's types. */
export async function materialize(
  online: OnlineStore,
  definitions: readonly Definition[],
  viewName: string,
  rows: readonly Readonly<Record<string, Scalar | null>>[],
  limits?: Parameters<typeof buildPages>[4],
): Promise<void> {
  const program = compileView(catalogOf(definitions), viewName);
  const { source: from, layout, keyDtypes } = program;
  const columns = Object.fromEntries(
    from.columns.map(({ name, dtype }) => [
      name,
      columnOf(
        dtype,
        rows.map((row) => row[name] ?? null),
      ),
    ]),
  );
  const batch = { length: rows.length, columns };
  const ids = eventIds(from, batch);
  const inputs = program.rowProgram.run(batch);
  const timeUs = columns[from.eventTime]!.data as Float64Array;
  const byKey = new Map<string, { key: Uint8Array; rows: number[] }>();
  rows.forEach((_, i) => {
    const parts = program.view.keys.map((name) => scalarAt(columns[name]!, i));
    const key = encodeKey(parts, keyDtypes);
    const group = byKey.get(key.toHex()) ?? { key, rows: [] };
    group.rows.push(i);
    byKey.set(key.toHex(), group);
  });
  const order = (a: number, b: number) =>
    timeUs[a]! - timeUs[b]! || compareScalars(ids[a]!, ids[b]!);
  for (const { key, rows: unsorted } of byKey.values()) {
    const sorted = unsorted.sort(order);
    const { head, blocks } = buildPages(
      layout,
      {
        length: sorted.length,
        timeUs: Float64Array.from(sorted, (i) => timeUs[i]!),
        arrivalUs: null,
        id: BigInt64Array.from(sorted, (i) => ids[i]!),
        columns: inputs.map((column) => gather(column, sorted)),
      },
      0,
      sorted.length,
      limits,
    );
    await online.compareAndSet([
      { view: program.id, key, expect: 0, head, putBlocks: blocks, dropBlocks: [] },
    ]);
  }
}

export const NOW_US = parseInstant('2024-03-10T00:00:00Z');

export interface Failure {
  readonly error: unknown;
  readonly url: string;
}

/** A server over fakes. */
export async function serverOver(
  definitions: readonly Definition[],
  change: Partial<ServerOptions> = {},
) {
  const online = memoryOnline();
  const registry = memoryRegistry(definitions);
  const clock = manualClock(NOW_US);
  const failures: Failure[] = [];
  const trained: TrainingRequest[] = [];
  const pushed: { contentType: string; text: string }[] = [];
  const materialized: Parameters<ServerOptions['materialize']>[0][] = [];
  const offline = {
    async train(request: TrainingRequest) {
      trained.push(request);
      return {
        rows: 3,
        bytes: 30,
        path: request.output.path,
        manifestPath: `${request.output.path}.manifest.json`,
        scannedRows: {},
        warnings: [],
      };
    },
  } as unknown as OfflineStore;
  const app = await buildServer({
    registry,
    online,
    offline,
    clock,
    catalogs,
    async defineFeature({ source: made, view: madeView }) {
      const before = await registry.load();
      const known = [made, madeView].map((definition) =>
        before.findLast((r) => r.kind === definition.kind && r.name === definition.name),
      );
      const text = JSON.stringify([made, madeView]);
      if (JSON.stringify(known.map((r) => r?.definition)) === text)
        return { version: known[1]!.version, created: false };
      registry.define([made, madeView]);
      const now = await registry.load();
      return { version: now.findLast((r) => r.name === madeView.name)!.version, created: true };
    },
    explain: async (request) => ({ ...request }),
    async pushEvents({ source: name, contentType, body, wait }) {
      if (name !== 'events')
        throw new SamewiseError('app/unknown-source', `no source ${name}`, {
          where: { source: name },
        });
      pushed.push({ contentType, text: new TextDecoder().decode(body) });
      return { source: name, rows: 1, state: wait ?? 'durable' };
    },
    async materialize(request) {
      materialized.push(request);
    },
    data: { roots: ['/data'], realPath: async (path) => path },
    outputDir: '/out',
    version: '0.0.0',
    onFailure: (error, { url }) => {
      failures.push({ error, url });
    },
    refreshMs: 0,
    ...change,
  });
  return { app, online, registry, clock, failures, trained, pushed, materialized };
}

export { float64, int64, nearest, string, timestamp };
