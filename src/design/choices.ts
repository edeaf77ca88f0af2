/** What an architect decides, and why: a store, a log, a registry, how many of each. Every choice names what it was chosen over. */
import { parseDuration } from '../base/duration.ts';
import { US_PER_MS, US_PER_SECOND } from '../base/time.ts';
import { type Capacity, printFigure, type StoreCapacity } from '../capacity/index.ts';
import * as measured from '../capacity/measured.ts';
import {
  greatest,
  minus,
  naturalLog,
  number,
  over,
  plus,
  roundedUp,
  Sheet,
  type Term,
  times,
} from '../capacity/sheet.ts';
import { type Catalog, planService } from '../model/index.ts';
import { countOf, type Requirements } from './requirements.ts';
import { SYSTEMS } from './systems.ts';

export interface Choice {
  readonly about: string;
  readonly chosen: string;
  readonly because: string;
  readonly instead: readonly { readonly what: string; readonly whyNot: string }[];
}

export interface Design {
  readonly requirements: Requirements;
  readonly catalog: Catalog;
  readonly capacity: Capacity;
  readonly store: StoreCapacity;
  readonly choices: readonly Choice[];
  /** Numbers of this design, beyond those of the capacity. */
  readonly sheet: Sheet;
  /** Parts of the 99th percentile of a request, in milliseconds; they add up to `p99Ms`. */
  readonly budget: readonly {
    readonly part: string;
    readonly ms: number;
    readonly formula: string;
  }[];
  readonly p99Ms: number;
  readonly wantedMs: number;
  readonly servingPods: number;
  readonly streamPods: number;
  readonly partitions: number;
  readonly trainingCores: number;
}

/** Cores of one pod. */
export const POD_CORES = 4;
/** One way over a network within a zone, and back. */
const ROUND_TRIP_MS = 0.5;
/** What the slowest of a hundred answers of a store waits for beyond that, at the load that shards are counted for. */
const STORE_WAIT_MS = 1;
const GC_MS = 2;

/** Decides. `capacity` is that of `catalog`, which the starter project defines. */
export function designOf(requirements: Requirements, catalog: Catalog, capacity: Capacity): Design {
  const sheet = new Sheet();
  const service = planService(catalog, catalog.featureServices[`${requirements.name}_v1`]!.members);
  const values = service.outputs.length * countOf(requirements.serving.entities ?? 1);
  const store = storeOf(requirements, capacity);
  const given = (
    name: string,
    unit: '' | '/s' | 'µs' | 'ms' | 'cores',
    m: { value: number; because: string },
  ) => sheet.given(name, unit, m.value, m.because);

  // Latency.
  const busy = given('how busy a core may be', '', measured.BUSY);
  const pages = sheet.given(
    'pages of a request',
    '',
    capacity.requestsPerSecond === 0 ? 0 : store.readsPerSecond / capacity.requestsPerSecond,
    'page reads ÷ requests, of the capacity',
  );
  const cpu = sheet.put(
    'CPU of one request',
    'µs',
    plus(
      given('CPU of a request', 'µs', measured.REQUEST_US),
      times(
        sheet.given('values of a request', '', values, 'features × entities'),
        given('CPU of a value', 'µs', measured.VALUE_US),
      ),
      times(pages, given('CPU of a page from afar', 'µs', measured.FAR_PAGE_US)),
    ),
  );
  const work = sheet.put('computing', 'ms', over(cpu, number(US_PER_MS)));
  const wait = sheet.put(
    'waiting for the core',
    'ms',
    times(work, over(naturalLog(over(busy, number(0.01))), minus(number(1), busy))),
    '99th percentile of the wait before one core (M/M/1)',
  );
  const trips = sheet.put(
    'round trips to the store',
    'ms',
    times(
      sheet.given('levels of look-ups', '', service.depth, 'views that are looked up via others'),
      plus(
        sheet.given('round trip in a zone', 'ms', ROUND_TRIP_MS, 'assumed: measure yours'),
        sheet.given('wait in the store', 'ms', STORE_WAIT_MS, 'assumed: 99th percentile'),
      ),
      // Blocks are asked for once heads are there.
      sheet.given(
        'heads, then blocks',
        '',
        pages.value > service.lookups.length ? 2 : 1,
        'blocks are asked for when heads are there',
      ),
    ),
  );
  const client = sheet.given(
    'client to server',
    'ms',
    ROUND_TRIP_MS,
    'assumed: one round trip in a zone',
  );
  const pause = sheet.given(
    'garbage collection',
    'ms',
    GC_MS,
    'assumed: a pause that a request in a hundred meets',
  );
  const p99 = sheet.put('99th percentile', 'ms', plus(client, work, wait, trips, pause));
  const budget = [client, work, wait, trips, pause].map((term, i) => ({
    part: [
      'client to server and back',
      'reading pages and computing',
      'waiting for a core',
      'store',
      'garbage collection',
    ][i]!,
    ms: term.value,
    formula: sheet.lines.find(({ name }) => `[${name}]` === term.text)?.formula ?? 'assumed',
  }));

  // Machines.
  const podCores = sheet.given(
    'cores of a pod',
    'cores',
    POD_CORES,
    'one process a core: the event loop is what is busy',
  );
  const zones = number(3);
  const pods = (name: string, cores: Term, because: string): Term =>
    sheet.put(
      name,
      '',
      greatest(zones, roundedUp(over(times(cores, over(zones, number(2))), podCores))),
      because,
    );
  const servingPods = pods(
    'pods that serve',
    sheet.given('cores that serve', 'cores', capacity.servingCores, 'capacity'),
    'one of three zones may be away',
  );
  const streamCores = sheet.given(
    'cores that apply events',
    'cores',
    capacity.streamCores,
    'capacity',
  );
  const streamPods = sheet.put(
    'pods that apply events',
    '',
    greatest(number(2), roundedUp(times(streamCores, number(2)))),
    'one core each; the others take over at a failure, and catch up twice as fast as events come',
  );
  const partitions = sheet.put(
    'partitions of each topic',
    '',
    times(streamPods, number(4)),
    'a partition has one worker: room to grow fourfold without moving keys',
  );

  // Training.
  const rowBytes = sheet.put(
    'bytes of a training row',
    'bytes',
    plus(
      number(24),
      times(number(8), sheet.given('features', '', service.outputs.length, 'of the service')),
    ),
    'a key, a time, a label and 8 bytes a value, uncompressed',
  );
  const rows = sheet.put(
    'training rows a second',
    '/s',
    over(
      over(
        sheet.given(
          'bytes of a training set',
          'bytes',
          countOf(requirements.training.bytes),
          'requirements',
        ),
        rowBytes,
      ),
      sheet.given(
        'time of a run',
        's',
        parseDuration(requirements.training.within) / US_PER_SECOND,
        'requirements',
      ),
    ),
  );
  const trainingCores = sheet.put(
    'cores that make training sets',
    'cores',
    over(
      times(
        rows,
        over(
          sheet.given('features of a row', '', service.outputs.length, 'of the service'),
          number(12),
        ),
      ),
      given('rows of 12 features of a core', '/s', measured.LABELS_PER_CORE),
    ),
    'besides what it takes to read and write so many bytes',
  );
  return {
    requirements,
    catalog,
    capacity,
    store,
    choices: choicesOf(requirements, capacity, store, trainingCores.value),
    sheet,
    budget,
    p99Ms: p99.value,
    wantedMs: parseDuration(requirements.serving.p99) / US_PER_MS,
    servingPods: servingPods.value,
    streamPods: streamPods.value,
    partitions: partitions.value,
    trainingCores: trainingCores.value,
  };
}

/** Above this one machine is not enough of a promise. */
const ONE_MACHINE_AVAILABILITY = 99.5;
const ONE_MACHINE_CORES = 16;

/** The simplest store that carries the load. */
function storeOf({ serving }: Requirements, { stores, servingCores }: Capacity): StoreCapacity {
  const [lmdb, redis, cluster] = stores as [StoreCapacity, StoreCapacity, StoreCapacity];
  const alone = (serving.availability ?? 99) <= ONE_MACHINE_AVAILABILITY;
  if (lmdb.fits && alone && servingCores <= ONE_MACHINE_CORES) return lmdb;
  return redis.fits ? redis : cluster;
}

function choicesOf(
  { sources, serving, training }: Requirements,
  { stores, servingCores }: Capacity,
  store: StoreCapacity,
  trainingCores: number,
): Choice[] {
  const of = (kind: StoreCapacity['store']) => stores.find((one) => one.store === kind)!;
  const size = ({ bytes, shards }: StoreCapacity) =>
    `${printFigure(bytes, 'bytes')} on ${printFigure(shards, '')} shards`;
  const dynamodb = of('dynamodb');
  const others: Record<StoreCapacity['store'], string> = {
    lmdb: of('lmdb').fits
      ? `${printFigure(of('lmdb').bytes, 'bytes')} would fit into one machine, but it is one machine: ${serving.availability ?? 99} % and ${printFigure(servingCores, 'cores')} ask for several`
      : of('lmdb').why,
    redis: of('redis').fits ? 'a cluster is not needed' : of('redis').why,
    'redis-cluster': 'more machines than the load needs',
    dynamodb: `${printFigure(dynamodb.drivers[0]!.amount, '/s')} read units and ${printFigure(dynamodb.drivers[1]!.amount, '/s')} write units, and some milliseconds a read, of which a request has ${serving.p99}; where memory costs more than that, it is the one to take`,
  };
  const logs = [...new Set(Object.values(sources).map(({ from }) => from))];
  const log = logs.some((from) => from === 'kafka' || from === 'debezium')
    ? 'Kafka'
    : logs.includes('kinesis')
      ? 'Kinesis'
      : 'the embedded log';
  const bytes = countOf(training.bytes);
  return [
    {
      about: 'Online store',
      chosen: TITLE[store.store],
      because: `${size(store)} (for ${store.shardsBecause}), ${printFigure(store.readsPerSecond, '/s')} page reads and ${printFigure(store.writesPerSecond, '/s')} page writes: ${store.why}`,
      instead: stores
        .filter((one) => one.store !== store.store)
        .map((one) => ({ what: TITLE[one.store], whyNot: others[one.store] })),
    },
    {
      about: 'Windows',
      chosen: 'evaluated when they are read, from raw events and partial sums in pages',
      because:
        'exact at any time: they decay without any event, and late or corrected events give the value that they would have given in order',
      instead: [
        {
          what: 'tiles by the minute or hour',
          whyNot:
            'fewer bytes, but edges are wrong by up to a tile, and training would have to be wrong in the same way',
        },
        {
          what: 'state in a stream processor',
          whyNot: 'a second implementation of each feature, and another value than training’s',
        },
      ],
    },
    {
      about: 'Log',
      chosen: log,
      because:
        'it is there already, and keeps events until pages and history have them; positions in pages make applying them idempotent',
      instead: [
        {
          what: 'writing to the store directly',
          whyNot: 'what was written before a failure, and what not, nobody could tell',
        },
      ],
    },
    {
      about: 'Registry',
      chosen: 'PostgreSQL',
      because: 'several servers read it and several people apply to it',
      instead: [{ what: 'SQLite', whyNot: 'a file of one machine; right for development' }],
    },
    {
      about: 'Training sets',
      chosen:
        trainingCores <= 32
          ? `DuckDB on one machine of ${Math.max(4, Math.ceil(trainingCores))} cores`
          : 'several machines, each with a range of the keys',
      because: `${printFigure(bytes, 'bytes')} within ${training.within} take ${printFigure(trainingCores, 'cores')}`,
      instead: [
        {
          what: 'Spark',
          whyNot:
            trainingCores <= 32
              ? 'a cluster to run, for what one machine does; it pays where history is too large to be moved'
              : 'not built yet: labels are divided by key, which needs no shuffle',
        },
        { what: 'the warehouse’s SQL', whyNot: 'a second implementation of each feature' },
      ],
    },
    {
      about: 'Batch and speed',
      chosen: 'one definition for both ways',
      because: `${Object.values(sources).filter(({ from }) => SYSTEMS[from].way !== 'files').length} of ${Object.keys(sources).length} sources stream; history fills pages up to where the stream goes on`,
      instead: [
        {
          what: 'log only (Kappa)',
          whyNot: 'a log that keeps all of history costs more than Parquet; see docs/patterns.md',
        },
      ],
    },
  ];
}

export const TITLE: Readonly<Record<StoreCapacity['store'], string>> = {
  lmdb: 'LMDB (embedded)',
  redis: 'Redis',
  'redis-cluster': 'Redis Cluster',
  dynamodb: 'DynamoDB',
};
