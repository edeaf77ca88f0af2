/** The design as a document in Markdown: the same requirements give the same bytes. */
import { parseDuration } from '../base/duration.ts';
import { type Line, printFigure, printLine } from '../capacity/index.ts';
import { type Design, POD_CORES, TITLE } from './choices.ts';
import { countOf, featureNames } from './requirements.ts';
import { retentionOf } from './starter.ts';
import { PARTS, SYSTEMS, type System } from './systems.ts';

/** Whether a URL is taken by the configuration of the version that runs: what is built, not what is meant. */
export type IsBuilt = (setting: string, url: string) => boolean;

/** The document. */
export function documentOf(design: Design, isBuilt: IsBuilt): string {
  return `${[
    `# ${design.requirements.title}: technical design`,
    'Made by `samewise design` from requirements, the definitions in `project/` and measured figures. Every number has its formula: in its section, or in the appendix.',
    summary(design),
    topology(design),
    ingestion(design),
    transformation(design),
    timeTravel(design),
    serving(design),
    training(design),
    capacity(design),
    choices(design),
    operations(design),
    built(design, isBuilt),
    appendix(design),
  ].join('\n\n')}\n`;
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function figures(lines: readonly Line[]): string {
  return tableOf(
    ['what', 'number', 'formula', 'why'],
    lines.map((line) => printLine(line)),
  );
}

/** The lines of these names, of the capacity or of the design. */
function linesOf({ capacity: { lines }, sheet }: Design, names: readonly string[]): Line[] {
  const all = [...lines, ...sheet.lines];
  return names.flatMap((name) => all.find((line) => line.name === name) ?? []);
}

function summary(design: Design): string {
  const { requirements, store, capacity, p99Ms, wantedMs } = design;
  const { serving: wanted, training: runs, features } = requirements;
  const served = Object.values(features).reduce(
    (sum, group) => sum + featureNames(group).length,
    0,
  );
  const kept = [...capacity.views].sort(
    (a, b) => b.headBytes + b.blockBytes - a.headBytes - a.blockBytes,
  )[0]!;
  return `## 1. Executive summary and principles

${served} features of ${Object.keys(features).length} views are defined once. The same kernel computes them for serving, for training and for every backfill, so that a
value at a time is the same bits everywhere. ${TITLE[store.store]} keeps ${printFigure(store.bytes, 'bytes')} of pages on ${printFigure(store.shards, '')} ${store.shards === 1 ? 'shard' : 'shards'};
${printFigure(design.servingPods, '')} pods answer ${printFigure(countOf(wanted.requests), '')} requests a second.

${tableOf(
  ['asked for', 'predicted', 'met'],
  [
    [
      `p99 < ${wanted.p99}`,
      `${printFigure(p99Ms, 'ms')} (section 6)`,
      p99Ms < wantedMs ? 'yes' : '**no**',
    ],
    [
      `${printFigure(countOf(wanted.requests), '/s')} requests`,
      `${printFigure(capacity.servingCores, 'cores')} of ${design.servingPods * POD_CORES}`,
      capacity.servingCores <= design.servingPods * POD_CORES ? 'yes' : '**no**',
    ],
    [
      `${runs.bytes} bytes of training data every ${runs.every}`,
      `${printFigure(design.trainingCores, 'cores')} for ${runs.within}`,
      'yes, where reading and writing keep up',
    ],
    [
      `freshest: ${freshest(design)}`,
      'events wait 50 ms to be gathered, then are written: 184 ms at the 99th percentile as measured with the embedded log',
      parseDuration(freshest(design)) > parseDuration('250ms') ? 'yes' : '**no**',
    ],
  ],
)}

What costs most: the view \`${kept.view}\` has ${printFigure(kept.headBytes + kept.blockBytes, 'bytes')} of the pages, because ${printFigure(kept.events, '')} raw events are kept for exact windows. A shorter
window, a shorter lateness, or \`onlineFor\` for keys that are idle makes it smaller.

Principles:

1. A feature has one definition, and one implementation: a pure function without clock or I/O.
2. A window is evaluated when it is read. Nothing has to fire, and nothing expires.
3. What is acknowledged is durable; what is delivered twice counts once; what comes late counts as if it had come in time.
4. A version of a definition never changes. Models pin versions.
5. What was served can be computed again and compared; the rate of differences is a metric with the target 0.`;
}

function freshest({ requirements: { features } }: Design): string {
  return Object.values(features)
    .map(({ freshness }) => freshness)
    .reduce((a, b) => (parseDuration(a) <= parseDuration(b) ? a : b));
}

function topology({ requirements: { sources }, store, servingPods, streamPods }: Design): string {
  const ways = Object.entries(sources).map(([name, { from, name: place }]) => {
    const { title, way } = SYSTEMS[from] as System;
    const short = title.replace(/ \(.*/, '');
    return way === 'files'
      ? `  ${short}: ${place} ──► Parquet ──► backfill of ${name}`
      : `  ${short}: ${place} ──► log ──► workers (${name})`;
  });
  return `## 2. Dual storage topology

Online pages answer "now" in one round trip; history answers "at any time" and is what pages can be rebuilt from. Both hold the same
events, and both are read by the same code.

\`\`\`
${ways.join('\n')}

  log ──► ${streamPods} × stream workers ──┬──► online pages: ${TITLE[store.store]}, ${printFigure(store.bytes, 'bytes')}
          (compare-and-set,        │       └──► ${servingPods} × servers ──► models
           positions in pages)     └──► history: Parquet by event date
                                          └──► training sets, backfills, proofs
\`\`\`

${tableOf(
  ['', 'online', 'history'],
  [
    [
      'holds',
      'events of each key within retention, with partial sums',
      'every event that ever stood, with its arrival',
    ],
    [
      'unit',
      'a page of a key: a head and immutable blocks of 4 KB',
      'a Parquet file of an event date',
    ],
    ['written', 'by compare-and-set, at once', 'in numbered manifests, each record once'],
    ['read', 'by key, in one round trip for all views', 'by DuckDB, sorted by key and time'],
    ['lost', 'rebuilt from history', 'the source of truth: back it up'],
  ],
)}`;
}

function ingestion(design: Design): string {
  const { requirements, partitions } = design;
  const rows = Object.entries(requirements.sources).map(([name, source]) => {
    const { title, way } = SYSTEMS[source.from] as System;
    return [
      name,
      `${title}: \`${source.name}\``,
      way === 'files'
        ? 'batch'
        : way === 'changes'
          ? 'stream of changes: the id is the row, the later arrival replaces it'
          : 'stream',
      printFigure(countOf(source.rate), '/s'),
      source.lateness ?? '1d',
      source.history === undefined
        ? way === 'files'
          ? 'itself'
          : 'kept from the first event on'
        : SYSTEMS[source.history].title,
    ];
  });
  return `## 3. Streaming and batch ingestion

${tableOf(['source', 'from', 'way', 'events', 'late by', 'history before the stream'], rows)}

Topics are keyed by the entity that most views have, with ${printFigure(partitions, '')} partitions, so that a page's events lie together. A worker gathers events for 50 ms
and writes a page once for all of them. History is loaded first, from Parquet that the warehouse exports; the stream goes on at the
position where history ended, and events that both have are one event, by their id.

${figures(linesOf(design, ['events into pages', 'page writes', 'events of a core', 'CPU of a page that is written', 'cores that apply events', 'pods that apply events', 'partitions of each topic']))}

What comes later than a source's lateness is in history, is counted, and reaches the pages by \`samewise reconcile\`. What cannot be read is a
dead letter with its reason. A store that is away stops reading, not acknowledging: the log holds what waits.`;
}

function transformation({ requirements: { features, sources, context } }: Design): string {
  const KIND = {
    stream: 'windows over raw events, exact to the microsecond',
    daily: 'windows of whole days (`hop(1d)`): they change at midnight UTC',
    attributes: 'the newest row',
    embedding: 'the newest vector',
  };
  const rows = Object.entries(features).map(([view, group]) => [
    `\`${view}\``,
    group.entity,
    group.source,
    KIND[group.kind],
    String(featureNames(group).length),
    (group.windows ?? []).join(', '),
    group.freshness,
    retentionOf(group, sources[group.source]!) ?? 'all rows',
  ]);
  const ratios = Object.entries(context?.ratios ?? {}).map(
    ([name, { of, to }]) => `\`${name}\` = \`request.${of} ÷ ${to}\``,
  );
  return `## 4. Transformation and computation layer

${tableOf(['view', 'entity', 'source', 'what', 'features', 'windows', 'freshness', 'raw events online'], rows)}

${ratios.length === 0 ? 'Nothing is computed from the request.' : `Computed from the request, by the same program in serving and training: ${ratios.join(', ')}.`}

Sums, means and deviations are exact over the real numbers and rounded once, so that neither order nor sharding changes a bit. Expressions are
typed and checked when the definitions are: a misspelt column does not compile. The kernel runs in the servers, in the workers that build
pages, and in training.`;
}

function timeTravel({ requirements: { governance, sources, history } }: Design): string {
  const mutable = Object.entries(sources).filter(([, { from }]) => SYSTEMS[from].way === 'changes');
  return `## 5. Time travel and consistency

${tableOf(
  ['question', 'answer'],
  [
    [
      'what a label at T sees',
      'events strictly before T; never one after it, and `verify --leakage` shows it',
    ],
    [
      'how far back',
      `${history} of history; online as far as each view keeps raw events, below that from history`,
    ],
    ['what was known then', '`as-served`: only what had arrived before T'],
    ['a read after a push that was answered `applied`', 'sees it (read your writes)'],
    [
      'two reads of one request',
      'one time T for all views; each page is whole, pages of two views may be some milliseconds apart',
    ],
    [
      'a worker dies, or two have one partition',
      'the same pages: positions in them make applying idempotent',
    ],
    [
      'the store loses what it acknowledged (asynchronous replication)',
      '`samewise reconcile` finds it by the positions in the pages, and repairs it from history',
    ],
    ...mutable.map(([name]): [string, string] => [
      `a row of \`${name}\` changes`,
      'the later arrival replaces it, also in training as `final`; what stood before is kept in history',
    ]),
  ],
)}

Strong where it must be, eventual where it may be: a push that is to be seen at once waits for \`applied\`; a topic is seen within the freshness of its views, which
the registry watches and reports.

Versions: ${
    governance?.versioning === 'strict'
      ? 'strict. A changed meaning is a new version beside the old; the service pins its versions, and the old ones are kept fresh until no service names them. A training set’s manifest names definitions, files and hashes, and `samewise rebuild` gives the same bytes.'
      : 'a changed meaning is a new version beside the old, and services pin theirs; manifests make training sets repeatable.'
  }${governance?.lineage === true ? ' Lineage from column to model is in the registry: `samewise features show`, and the plan says whom a change touches.' : ''}`;
}

function serving(design: Design): string {
  const { budget, p99Ms, wantedMs, requirements } = design;
  const { name, serving: wanted } = requirements;
  return `## 6. Serving API and latency budget

\`POST /api/v1/services/${name}_v1/vectors\` (JSON), \`GET /api/v1/features/online\`, gRPC on the same port, and Feast's \`/get-online-features\`. A request brings keys and
request data; the answer has values and why each is what it is (PRESENT, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE, TIMED_OUT). \`x-deadline-ms\` bounds it: what
has not come by then is null, and the answer says \`partial\`.

${tableOf(
  ['part of the 99th percentile', 'ms', 'formula'],
  [
    ...budget.map(({ part, ms, formula }) => [part, printFigure(ms, ''), formula]),
    ['**sum**', printFigure(p99Ms, ''), `wanted: ${printFigure(wantedMs, '')} ms`],
  ],
)}

Percentiles do not add up: the sum is above the true one. ${
    p99Ms < wantedMs
      ? `What is left, ${printFigure(wantedMs - p99Ms, 'ms')}, is for what differs from these assumptions.`
      : 'It is not met: ask for fewer features in a request, put the store nearer, or leave cores emptier.'
  }

${figures(linesOf(design, ['values of a request', 'pages of a request', 'CPU of one request', 'waiting for the core', 'round trips to the store', '99th percentile', 'cores that serve', 'pods that serve']))}

Availability${wanted.availability === undefined ? '' : ` of ${wanted.availability} %`}: pods are spread over three zones and sized so that two carry the load; a pod that is told to end answers what it has.`;
}

function training(design: Design): string {
  const { every, within, bytes } = design.requirements.training;
  return `## 7. Training

${bytes} bytes (${printFigure(countOf(bytes), 'bytes')}) every ${every}, within ${within}. Labels and events are sorted together and swept once: a value costs what it takes to step, whatever its window.

${figures(linesOf(design, ['bytes of a training row', 'training rows a second', 'rows of 12 features of a core', 'cores that make training sets']))}

Runs are divided by key, which needs no shuffle, for a key's labels meet only its own events. The manifest beside each output names everything that it was made
from.`;
}

function capacity({ capacity: { views, stores } }: Design): string {
  return `## 8. Capacity

${tableOf(
  ['view', 'keys', 'events kept', 'heads', 'blocks', 'events', 'page writes', 'page reads'],
  views.map((v) => [
    `\`${v.view}\``,
    printFigure(v.keys, ''),
    printFigure(v.events, ''),
    printFigure(v.headBytes, 'bytes'),
    printFigure(v.blockBytes, 'bytes'),
    printFigure(v.eventsPerSecond, '/s'),
    printFigure(v.pageWrites, '/s'),
    printFigure(v.pageReads, '/s'),
  ]),
)}

${tableOf(
  ['store', 'bytes', 'shards', 'because of', 'carries it', 'what its bill is made of'],
  stores.map((s) => [
    TITLE[s.store],
    printFigure(s.bytes, 'bytes'),
    printFigure(s.shards, ''),
    s.shardsBecause,
    s.fits ? 'yes' : `no: ${s.why}`,
    s.drivers.map((d) => `${d.name}: ${printFigure(d.amount, d.unit)}`).join('; '),
  ]),
)}`;
}

function choices({ choices: all }: Design): string {
  return `## 9. Choices

${all
  .map(({ about, chosen, because, instead }) =>
    [
      `**${about}: ${chosen}.** Because: ${because}.`,
      ...instead.map(({ what, whyNot }) => `- not ${what}: ${whyNot}.`),
    ].join('\n'),
  )
  .join('\n\n')}`;
}

function operations({ servingPods, streamPods }: Design): string {
  return `## 10. Operations

\`deploy/kubernetes.yaml\` has ${servingPods} pods that serve and ${streamPods} that apply events, with probes, budgets for disruption and autoscaling. Servers scale on CPU: the event loop is what
a server runs out of, one process has one core, and a process that waits for the store does not use it. Workers scale on CPU as well, up to the number of
partitions; their lag is what to alert on (\`samewise_stream_lag\`, and the freshness of views).

Rollout: \`plan\` in review, \`apply\` from the main branch, \`materialize\` for what is new, then the model is switched to the new version; back is the same way.
Proof: \`samewise prove\` on what was served and \`reconcile\` on pages, both as metrics with the target 0.`;
}

function built({ requirements: { sources } }: Design, isBuilt: IsBuilt): string {
  const used = new Set(Object.values(sources).flatMap(({ from, history }) => [from, history]));
  const BUILT = { yes: 'yes', 'by files': 'as files only', no: 'no' };
  return `## 11. What is built today

Of what this design names, as of the version of Samewise that wrote it:

${tableOf(
  ['part', 'built', 'how'],
  [
    ...Object.entries(SYSTEMS).flatMap(([name, { title, built: state, how }]): string[][] =>
      used.has(name as keyof typeof SYSTEMS) ? [[`Source: ${title}`, BUILT[state], how]] : [],
    ),
    ...PARTS.map(({ title, setting, url }) => [
      title,
      isBuilt(setting, url) ? 'yes' : '**no**',
      `\`${setting}=${url}\``,
    ]),
    ['Training on Spark', '**no**', 'DuckDB, with runs divided by key'],
  ],
)}

Figures of one core are measured; those of a cluster are extrapolated from them. See docs/scale.md.`;
}

function appendix({ capacity: { lines }, sheet }: Design): string {
  return `## Appendix: every number

Names in brackets are other lines of these tables.

### Capacity

${figures(lines)}

### This design

${figures(sheet.lines)}`;
}
