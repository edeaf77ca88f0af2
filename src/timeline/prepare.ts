/** What a layout means to the code that runs it, worked out once: aggregates, distinct windows, limits. */
import type { Aggregate } from '../aggregate/aggregate.ts';
import { aggregateFor } from '../aggregate/index.ts';
import type { Window } from '../aggregate/window.ts';
import { canonicalJson, murmur3Words } from '../base/hash.ts';
import type { Layout } from './layout.ts';

/** The reads that share a window. */
export interface WindowReads {
  readonly window: Window;
  /** Indices into `layout.reads`. */
  readonly reads: readonly number[];
}

export interface Prepared {
  readonly layout: Layout;
  /** The layout's aggregates, which turn a state into a value. */
  readonly results: readonly Aggregate[];
  /** Which of the states below each of them takes: sum and avg of a column, say, have the same. */
  readonly stateOf: readonly number[];
  /** For each distinct state an aggregate that makes it. */
  readonly aggregates: readonly Aggregate[];
  /** Input column of each state; −1 for none. */
  readonly inputs: readonly number[];
  /** Which states hold nothing but the number of rows, whatever is in these. */
  readonly countsRows: readonly boolean[];
  readonly windows: readonly WindowReads[];
  /** Of each read that is the newest row's value: the column; −1: it is not. */
  readonly newestOf: readonly number[];
  /** Index into `windows` of each read. */
  readonly windowOf: readonly number[];
  /** States that some read takes over all time: what retention keeps a base partial of. */
  readonly lifetimes: readonly number[];
  /** One of each state, for use and reuse within a call. */
  readonly scratch: readonly unknown[];
  /** Another one. */
  readonly copies: readonly unknown[];
  /** Told apart in every page: a page of a layout with other columns or aggregates is refused. */
  readonly fingerprint: number;
}

const prepared = new WeakMap<Layout, Prepared>();

/** The prepared layout, the same one for the same layout object. */
export function prepare(layout: Layout): Prepared {
  let found = prepared.get(layout);
  if (found === undefined) {
    found = work(layout);
    prepared.set(layout, found);
  }
  return found;
}

/** True for a window with neither a start nor a count: it reaches back beyond any retention. */
export function isLifetime(window: Window): boolean {
  return window.sizeUs === null && window.sinceStartOf === null && window.last === null;
}

function work(layout: Layout): Prepared {
  const results = layout.aggregates.map(({ spec, input }) =>
    aggregateFor(spec, input < 0 ? null : layout.columns[input]!),
  );
  const aggregates: Aggregate[] = [];
  const inputs: number[] = [];
  const stateOf = layout.aggregates.map(({ input }, i) => {
    const { family } = results[i]!;
    const same = aggregates.findIndex((a, k) => inputs[k] === input && a.family === family);
    if (family !== undefined && same >= 0) return same;
    inputs.push(input);
    return aggregates.push(results[i]!) - 1;
  });
  const byWindow = new Map<string, { window: Window; reads: number[] }>();
  layout.reads.forEach(({ window }, read) => {
    const name = canonicalJson(window);
    const group = byWindow.get(name);
    if (group === undefined) byWindow.set(name, { window, reads: [read] });
    else group.reads.push(read);
  });
  const windows = [...byWindow.values()];
  const lifetimes = aggregates
    .map((_, i) => i)
    .filter((i) => layout.reads.some((r) => stateOf[r.aggregate] === i && isLifetime(r.window)));
  const { columns, mutable } = layout;
  const meaning = canonicalJson({ columns, mutable, aggregates: layout.aggregates, lifetimes });
  return {
    layout,
    results,
    stateOf,
    aggregates,
    inputs,
    countsRows: aggregates.map(({ fn }, a) => fn === 'count' && inputs[a]! < 0),
    windows,
    newestOf: layout.reads.map(({ aggregate }) =>
      results[aggregate]!.fn === 'latest' ? layout.aggregates[aggregate]!.input : -1,
    ),
    windowOf: layout.reads.map((_, read) => windows.findIndex((w) => w.reads.includes(read))),
    lifetimes,
    scratch: aggregates.map((aggregate) => aggregate.create()),
    copies: aggregates.map((aggregate) => aggregate.create()),
    fingerprint: murmur3Words(new TextEncoder().encode(meaning))[0],
  };
}
