/** From definitions and a load to what they cost: pages, bytes, reads and writes, shards and cores, each number with its formula. */
import { formatDuration } from '../base/duration.ts';
import { US_PER_SECOND } from '../base/time.ts';
import { type Catalog, compileView, planService } from '../model/index.ts';
import { checkLoad, entityLoadOf, type Load, sourceLoadOf } from './load.ts';
import * as measured from './measured.ts';
import { GATHER_MS, type SampledKey, type SampledView, sampleView } from './sample.ts';
import {
  greatest,
  type Line,
  number,
  over,
  plus,
  roundedUp,
  Sheet,
  type Term,
  times,
} from './sheet.ts';
import { bareBytes, dynamodbBytes, lmdbBytes, redisBytes } from './stores.ts';

/** One view's share. Rates are by second. */
export interface ViewCapacity {
  readonly view: string;
  /** Keys that have a page. */
  readonly keys: number;
  /** Events in their pages. */
  readonly events: number;
  readonly headBytes: number;
  readonly blocks: number;
  readonly blockBytes: number;
  /** By how much the pages grow in a day, while nothing is dropped. */
  readonly bytesADay: number;
  readonly eventsPerSecond: number;
  readonly pageWrites: number;
  readonly pageReads: number;
}

export type StoreKind = 'lmdb' | 'redis' | 'redis-cluster' | 'dynamodb';

/** What one kind of store would take for all views. */
export interface StoreCapacity {
  readonly store: StoreKind;
  /** With what the store adds. */
  readonly bytes: number;
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  readonly shards: number;
  /** Which of its needs makes it so many shards. */
  readonly shardsBecause: string;
  /** Whether this kind can carry the load at all, and why not. */
  readonly fits: boolean;
  readonly why: string;
  /** What its bill is made of. */
  readonly drivers: readonly {
    readonly name: string;
    readonly amount: number;
    readonly unit: string;
  }[];
}

export interface Capacity {
  readonly views: readonly ViewCapacity[];
  readonly stores: readonly StoreCapacity[];
  readonly servingCores: number;
  readonly streamCores: number;
  readonly requestsPerSecond: number;
  /** Every number with where it comes from. */
  readonly lines: readonly Line[];
}

/** Predicts. Throws `capacity/…` where the load does not fit the definitions, and what compiling a view throws. */
export function predict(catalog: Catalog, load: Load): Capacity {
  checkLoad(catalog, load);
  const sheet = new Sheet();
  const asked = askedOf(catalog, load, sheet);
  const totals = new Map<StoreBytes, Term[]>(STORE_BYTES.map((store) => [store, []]));
  const all = {
    events: [] as Term[],
    writes: [] as Term[],
    reads: [] as Term[],
    writeUnits: [] as Term[],
    readUnits: [] as Term[],
  };
  const views = Object.keys(catalog.featureViews).map((name): ViewCapacity => {
    const program = compileView(catalog, name);
    const source = sourceLoadOf(catalog, load, program.view);
    const entity = entityLoadOf(catalog, load, program.view);
    const sample = sampleView(program, entity, source, load.historyUs);
    const v = new ViewSheet(sheet, name, sample);
    const perSecond = sheet.given(`${name}: rate of its source`, '/s', source.perSecond, 'load');
    const taken = sheet.given(
      `${name}: share that its filter takes`,
      '',
      sample.taken,
      'of synthetic rows',
    );
    const events = v.put('events', '/s', times(perSecond, taken));
    const kept = keptFor(program.view.retentionUs, load.historyUs);
    const keys = v.given(
      'keys with a page',
      '',
      sum(sample, () => 1),
      `of ${entity.count}: those with an event in ${formatDuration(load.historyUs)}, where the r-th most active has r^−${entity.skew} of the events of the first`,
    );
    const eventsOfKey = v.average('events of a key', '', ({ events: n }) => n, kept);
    const headOfKey = v.average('bytes of a head', 'bytes', ({ headBytes }) => headBytes);
    const blocksOfKey = v.average('blocks of a key', '', blocksOf);
    const blockOfKey = v.average('bytes of the blocks of a key', 'bytes', blockBytesOf);
    const inPages = v.put('events in pages', '', times(keys, eventsOfKey));
    const headBytes = v.put('bytes of heads', 'bytes', times(keys, headOfKey));
    const blocks = v.put('blocks', '', times(keys, blocksOfKey));
    const blockBytes = v.put('bytes of blocks', 'bytes', times(keys, blockOfKey));
    const aDay =
      program.view.retentionUs === null && !program.source.mutable
        ? v.put(
            'growth a day',
            'bytes',
            times(over(plus(headBytes, blockBytes), inPages), events, number(86_400)),
            'nothing is dropped without retention',
          )
        : null;
    for (const store of STORE_BYTES) {
      const ofKey = v.average(`${store} bytes of a key`, 'bytes', (key) =>
        BYTES[store](sample.keyBytes, key),
      );
      totals.get(store)!.push(v.put(`${store} bytes`, 'bytes', times(keys, ofKey)));
    }
    const index = rowIndexOf(sample, source.rows);
    if (index !== null)
      for (const store of STORE_BYTES)
        totals
          .get(store)!
          .push(
            v.given(
              `${store} bytes of the row index`,
              'bytes',
              index.keys * BYTES[store](8, index),
              'a table under change: one small page for each row',
            ),
          );
    const writes = v.given(
      'page writes',
      '/s',
      sample.writesPerSecond,
      `keys that have an event in ${GATHER_MS} ms, which are written once each`,
    );
    const lookups = asked.heads.get(name) ?? [];
    const heads = v.put('head reads', '/s', sumOf(lookups));
    const opened = v.activity('blocks that a read opens', ({ blocksRead }) => blocksRead);
    const reads = v.put('page reads', '/s', times(heads, plus(number(1), opened)));
    const pageBytes = v.activity('bytes of a head that is in use', ({ headBytes: bytes }) => bytes);
    const readUnits = v.put(
      'read units',
      '/s',
      times(reads, roundedUp(over(pageBytes, number(4096))), number(0.5)),
      'DynamoDB: 4 KiB, eventually consistent',
    );
    const writeUnits = v.put(
      'write units',
      '/s',
      times(writes, roundedUp(over(pageBytes, number(1024)))),
      'DynamoDB: 1 KiB',
    );
    all.events.push(events);
    all.writes.push(writes);
    all.reads.push(reads);
    all.readUnits.push(readUnits);
    all.writeUnits.push(writeUnits);
    return {
      view: name,
      keys: keys.value,
      events: inPages.value,
      headBytes: headBytes.value,
      blocks: blocks.value,
      blockBytes: blockBytes.value,
      bytesADay: aDay?.value ?? 0,
      eventsPerSecond: events.value,
      pageWrites: writes.value,
      pageReads: reads.value,
    };
  });
  const reads = sheet.put('page reads', '/s', plus(...all.reads));
  const writes = sheet.put('page writes', '/s', plus(...all.writes));
  const flow = {
    reads,
    writes,
    readUnits: sheet.put('read units', '/s', plus(...all.readUnits)),
    writeUnits: sheet.put('write units', '/s', plus(...all.writeUnits)),
  };
  const bytes = (store: StoreBytes) =>
    sheet.put(`${store} bytes`, 'bytes', plus(...totals.get(store)!));
  bytes('page');
  const stores = [
    lmdb(bytes('LMDB'), flow),
    ...redis(sheet, bytes('Redis'), flow),
    dynamodb(sheet, bytes('DynamoDB'), flow),
  ];
  const serving = servingOf(asked, sheet, reads);
  const streamed = sheet.put('events into pages', '/s', plus(...all.events));
  const page = sheet.put(
    'CPU of a page that is written',
    'µs',
    plus(given(sheet, 'CPU of an update', 'µs', measured.UPDATE_US), times(number(2), serving.far)),
    'it is read and written over the network; the log’s share is by event',
  );
  const streamCores = sheet.put(
    'cores that apply events',
    'cores',
    over(
      plus(
        over(streamed, given(sheet, 'events of a core', '/s', measured.EVENTS_PER_CORE)),
        over(times(writes, page), number(US_PER_SECOND)),
      ),
      serving.busy,
    ),
  );
  return {
    views,
    stores,
    servingCores: serving.cores.value,
    streamCores: streamCores.value,
    requestsPerSecond: serving.requests.value,
    lines: sheet.lines,
  };
}

const BYTES = { page: bareBytes, LMDB: lmdbBytes, Redis: redisBytes, DynamoDB: dynamodbBytes };
type StoreBytes = keyof typeof BYTES;
const STORE_BYTES = Object.keys(BYTES) as StoreBytes[];

function blocksOf({ blockBytes, blocksEach }: SampledKey): number {
  return blocksEach * blockBytes.length;
}

function blockBytesOf({ blockBytes, blocksEach }: SampledKey): number {
  return blocksEach * blockBytes.reduce((total, bytes) => total + bytes, 0);
}

/** A sum over all keys that the sampled ones stand for. */
function sum({ sampled }: SampledView, of: (key: SampledKey) => number): number {
  return sampled.reduce((total, key) => total + key.keys * of(key), 0);
}

function keptFor(retentionUs: number | null, historyUs: number): string {
  return retentionUs === null || retentionUs >= historyUs
    ? `all of ${formatDuration(historyUs)}`
    : `retention of ${formatDuration(retentionUs)} before its newest`;
}

/** The lines of one view. */
class ViewSheet {
  readonly #sheet: Sheet;
  readonly #view: string;
  readonly #sample: SampledView;
  readonly #keys: number;
  readonly #share: number;

  constructor(sheet: Sheet, view: string, sample: SampledView) {
    this.#sheet = sheet;
    this.#view = view;
    this.#sample = sample;
    this.#keys = Math.max(
      sum(sample, () => 1),
      Number.MIN_VALUE,
    );
    this.#share = sample.sampled.reduce((total, { share }) => total + share, 0);
  }

  put(name: string, unit: Line['unit'], term: Term, because = ''): Term {
    return this.#sheet.put(`${this.#view}: ${name}`, unit, term, because);
  }

  given(name: string, unit: Line['unit'], value: number, because: string): Term {
    return this.#sheet.given(`${this.#view}: ${name}`, unit, value, because);
  }

  /** Of a key with a page, on average. */
  average(name: string, unit: Line['unit'], of: (key: SampledKey) => number, because = ''): Term {
    const { length } = this.#sample.sampled;
    const sampled = `mean of ${length} pages that the kernel encoded`;
    return this.given(
      name,
      unit,
      sum(this.#sample, of) / this.#keys,
      because === '' ? sampled : `${because}; ${sampled}`,
    );
  }

  /** Of a key as events meet them: busy keys count for more. */
  activity(name: string, of: (key: SampledKey) => number): Term {
    const total = this.#sample.sampled.reduce((sum, key) => sum + key.share * of(key), 0);
    return this.given(
      name,
      name.startsWith('bytes') ? 'bytes' : '',
      this.#share === 0 ? 0 : total / this.#share,
      'mean over events: keys are asked for as often as they have events',
    );
  }
}

/** Rows of the index of a mutable source: id, time, arrival and the key where it lies (see stream/row_index.ts). */
function rowIndexOf(
  { program, keyBytes, taken }: SampledView,
  rows: number | null,
): SampledKey | null {
  if (!program.source.mutable || rows === null) return null;
  return {
    keys: rows * taken,
    events: 0,
    headBytes: 17 + keyBytes,
    blockBytes: [],
    blocksEach: 1,
    blocksRead: 0,
    grows: false,
    share: 0,
  };
}

/** What services ask for: requests and values a second, and by view how often its heads are read. */
interface Asked {
  readonly services: readonly {
    readonly requests: Term;
    readonly entities: Term;
    readonly features: number;
    readonly name: string;
  }[];
  /** One term for each service that looks the view up. */
  readonly heads: ReadonlyMap<string, readonly Term[]>;
}

function askedOf(catalog: Catalog, load: Load, sheet: Sheet): Asked {
  const heads = new Map<string, Term[]>();
  const services = Object.entries(load.services).map(([name, { perSecond, entities }]) => {
    const requests = sheet.given(`${name}: requests`, '/s', perSecond, 'load');
    const each = sheet.given(`${name}: entities of a request`, '', entities, 'load');
    const rows = sheet.put(`${name}: entities`, '/s', times(requests, each));
    const { lookups, outputs } = planService(catalog, catalog.featureServices[name]!.members);
    const counts = new Map<string, number>();
    for (const { program } of lookups)
      counts.set(program.view.name, (counts.get(program.view.name) ?? 0) + 1);
    for (const [view, count] of counts) {
      const term = count === 1 ? rows : times(number(count), rows);
      heads.set(view, [...(heads.get(view) ?? []), term]);
    }
    return { name, requests, entities: each, features: outputs.length };
  });
  return { services, heads };
}

function given(
  sheet: Sheet,
  name: string,
  unit: Line['unit'],
  { value, because }: { readonly value: number; readonly because: string },
): Term {
  return sheet.given(name, unit, value, because);
}

interface Flow {
  readonly reads: Term;
  readonly writes: Term;
  readonly readUnits: Term;
  readonly writeUnits: Term;
}

function lmdb(bytes: Term, { reads, writes }: Flow): StoreCapacity {
  const fits = bytes.value <= measured.LMDB_BYTES.value;
  return {
    store: 'lmdb',
    bytes: bytes.value,
    readsPerSecond: reads.value,
    writesPerSecond: writes.value,
    shards: 1,
    shardsBecause: 'one machine holds all',
    fits,
    why: fits
      ? 'the pages fit into the memory of one machine; only processes of that machine read them'
      : `the pages are more than ${measured.LMDB_BYTES.because} can hold`,
    drivers: [{ name: 'memory and disk of one machine', amount: bytes.value, unit: 'bytes' }],
  };
}

function redis(sheet: Sheet, bytes: Term, { reads, writes }: Flow): StoreCapacity[] {
  const room = given(sheet, 'bytes of a Redis', 'bytes', measured.REDIS_SHARD_BYTES);
  const perShard = given(sheet, 'commands of a Redis', '/s', measured.REDIS_PER_SHARD);
  const byBytes = sheet.put('Redis shards for the bytes', '', roundedUp(over(bytes, room)));
  const byCommands = sheet.put(
    'Redis shards for the commands',
    '',
    roundedUp(over(plus(reads, writes), perShard)),
    'a write reads the head that it replaces, in the same command',
  );
  const shards = sheet.put('Redis shards', '', greatest(byBytes, byCommands));
  const replicas = number(2);
  const memory = sheet.put(
    'Redis memory with a replica of each shard',
    'bytes',
    times(bytes, replicas),
  );
  const because = byCommands.value > byBytes.value ? 'commands a second' : 'bytes in memory';
  const common = {
    bytes: bytes.value,
    readsPerSecond: reads.value,
    writesPerSecond: writes.value,
    drivers: [
      { name: 'memory, with a replica', amount: memory.value, unit: 'bytes' },
      { name: 'machines, with a replica', amount: 2 * shards.value, unit: '' },
      { name: 'commands', amount: reads.value + writes.value, unit: '/s' },
    ],
  };
  const one = shards.value <= 1;
  return [
    {
      store: 'redis',
      ...common,
      shards: 1,
      shardsBecause: 'one process holds all',
      fits: one,
      why: one ? 'one Redis is enough' : `it would take ${shards.value}, for ${because}`,
    },
    {
      store: 'redis-cluster',
      ...common,
      shards: Math.max(3, shards.value),
      shardsBecause: shards.value < 3 ? 'a cluster has three primaries at least' : because,
      fits: true,
      why: 'grows by shards',
    },
  ];
}

function dynamodb(
  sheet: Sheet,
  bytes: Term,
  { readUnits, writeUnits, ...flow }: Flow,
): StoreCapacity {
  const reads = given(sheet, 'read units of a partition', '/s', measured.DYNAMODB_PARTITION_READS);
  const writes = given(
    sheet,
    'write units of a partition',
    '/s',
    measured.DYNAMODB_PARTITION_WRITES,
  );
  const room = given(sheet, 'bytes of a partition', 'bytes', measured.DYNAMODB_PARTITION_BYTES);
  const byBytes = roundedUp(over(bytes, room));
  const byUnits = roundedUp(plus(over(readUnits, reads), over(writeUnits, writes)));
  const partitions = sheet.put('DynamoDB partitions', '', greatest(number(1), byBytes, byUnits));
  return {
    store: 'dynamodb',
    bytes: bytes.value,
    readsPerSecond: flow.reads.value,
    writesPerSecond: flow.writes.value,
    shards: partitions.value,
    shardsBecause: byUnits.value > byBytes.value ? 'units a second' : 'bytes',
    fits: true,
    why: 'splits by itself; a single read takes some milliseconds',
    drivers: [
      { name: 'read units', amount: readUnits.value, unit: '/s' },
      { name: 'write units', amount: writeUnits.value, unit: '/s' },
      { name: 'stored', amount: bytes.value, unit: 'bytes' },
    ],
  };
}

function servingOf({ services }: Asked, sheet: Sheet, reads: Term) {
  const request = given(sheet, 'CPU of a request', 'µs', measured.REQUEST_US);
  const value = given(sheet, 'CPU of a value', 'µs', measured.VALUE_US);
  const far = given(sheet, 'CPU of a page from afar', 'µs', measured.FAR_PAGE_US);
  const busy = given(sheet, 'how busy a core may be', '', measured.BUSY);
  const work = services.map(({ name, requests, entities, features }) => {
    const values = sheet.put(
      `${name}: values of a request`,
      '',
      times(entities, number(features)),
      'entities × features',
    );
    return times(requests, plus(request, times(values, value)));
  });
  const requests = sheet.put('requests', '/s', sumOf(services.map((service) => service.requests)));
  const cores = sheet.put(
    'cores that serve',
    'cores',
    over(plus(...work, times(reads, far)), times(number(US_PER_SECOND), busy)),
    'of a store over the network; an embedded one needs no client',
  );
  return { cores, requests, busy, far };
}

/** A sum of any number of terms. */
function sumOf(terms: readonly Term[]): Term {
  return terms.length === 0 ? number(0) : plus(...terms);
}
