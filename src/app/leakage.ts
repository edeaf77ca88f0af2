/**
 * The other proof: a training set computed again from a history that ends at each row's own T.
 *
 * Of each sampled row every event at or after T (as-served: also what had not arrived, or was put right later) is taken out
 * of the history of its entities before anything is computed; look-ups via features and on-demand views run on what came
 * out. A value of the file that needs anything later cannot
 * come out the same, but for chance.
 *
 * What it does not prove: that times are true. An event stamped too early, a file whose columns were written with knowledge
 * of the future, and labels whose own columns (request data among them) know more than they may, all pass. Of a set built
 * `final`, corrections that arrived after T to events before T count as known, as that word says. A row that differs was
 * not computed from this history up to T: because the future leaked in, or because file or history have changed since,
 * which `verify` says.
 */
import type { InstantUs } from '../base/time.ts';
import { formatInstant } from '../base/time.ts';
import {
  assemble,
  keyColumnsOf,
  type Lookup,
  planService,
  sweptDtypes,
  sweptFeatures,
  sweptLayout,
} from '../model/index.ts';
import type { KeyedEvents, OfflineStore, TrainingSample } from '../offline/contract.ts';
import { type Events, sweep } from '../timeline/index.ts';
import { type Column, ColumnBuilder, columnOf, gather, scalarAt } from '../types/column.ts';
import { encodeKey } from '../types/key.ts';
import { type Scalar, sameScalar, scalarToJsonText } from '../types/scalar.ts';

/** A value that the history before T does not give; texts are JSON. */
export interface Leak {
  /** 0-based row of the training set. */
  readonly row: number;
  readonly at: string;
  readonly feature: string;
  readonly training: string;
  /** What the history before T gives. */
  readonly past: string;
}

interface LeakageProof {
  readonly rows: number;
  readonly values: number;
  /** Events taken out, over all rows and look-ups: with none, there was no future to leak. */
  readonly hidden: number;
  readonly leaks: readonly Leak[];
}

/**
 * Checks up to `rows` rows of a training set, every feature of them. The history of each view is scanned once a look-up,
 * for the sampled entities only. Throws `offline/…`; `aborted` by `signal`.
 */
export async function proveNoLeakage(
  offline: OfflineStore,
  manifestPath: string,
  rows: number,
  signal?: AbortSignal,
): Promise<LeakageProof> {
  const sample = await offline.sample(manifestPath, rows);
  const plan = planService(sample.catalog, sample.members);
  const looked: (readonly Column[])[] = [];
  let hidden = 0;
  for (const lookup of plan.lookups) {
    const keys = keyColumnsOf(plan, lookup, looked, sample.request);
    const past = await lookUpPast(offline, sample, lookup, keys, signal);
    looked.push(past.columns);
    hidden += past.hidden;
  }
  const { columns } = assemble(plan, looked, sample.request);
  const leaks: Leak[] = [];
  for (let row = 0; row < sample.request.length; row++)
    plan.outputs.forEach(({ name, dtype }, i) => {
      const training = scalarAt(sample.values.columns[name]!, row);
      const past = scalarAt(columns[i]!, row);
      if (sameScalar(training, past)) return;
      leaks.push({
        row: sample.rowNumbers[row]!,
        at: formatInstant(sample.timeUs[row]!),
        feature: name,
        training: scalarToJsonText(training, dtype),
        past: scalarToJsonText(past, dtype),
      });
    });
  const { length } = sample.request;
  return { rows: length, values: length * plan.outputs.length, hidden, leaks };
}

/** What `sweptFeatures` names of a look-up for every sampled row, before defaults, and how many events were hidden from them. */
async function lookUpPast(
  offline: OfflineStore,
  { catalog, request, timeUs, through, knowledge }: TrainingSample,
  lookup: Lookup,
  keys: readonly Column[],
  signal: AbortSignal | undefined,
): Promise<{ columns: Column[]; hidden: number }> {
  const { program } = lookup;
  const layout = sweptLayout(program, sweptFeatures(lookup));
  const dtypes = sweptDtypes(lookup);
  const values: (readonly (Scalar | null)[])[] = [];
  const read = ({ events, from, to }: Past, readUs: InstantUs): (Scalar | null)[] => {
    const out = dtypes.map((dtype) => new ColumnBuilder(dtype, 1));
    sweep(layout, events, from, to, Float64Array.of(readUs), 0, 1, out);
    return out.map((builder) => scalarAt(builder.finish(), 0));
  };
  const rowsOf = new Map<string, { key: Uint8Array; rows: number[] }>();
  for (let row = 0; row < request.length; row++) {
    const parts = keys.map((column) => scalarAt(column, row));
    if (parts.includes(null)) continue;
    const key = encodeKey(parts, program.keyDtypes);
    const entry = rowsOf.getOrInsert(key.toHex(), { key, rows: [] });
    entry.rows.push(row);
  }
  let hidden = 0;
  const history = offline.history({
    catalog,
    view: program.view.name,
    shard: null,
    changedSinceUs: null,
    keys: [...rowsOf.values()].map(({ key }) => key),
    knowledge,
    signal,
  });
  for await (const batch of history)
    batch.keys.forEach((key, i) => {
      for (const row of rowsOf.get(key.toHex())?.rows ?? []) {
        const readUs = timeUs[row]! + (through ? 1 : 0);
        const past = pastOf(batch, i, readUs);
        hidden += batch.starts[i + 1]! - batch.starts[i]! - (past.to - past.from);
        values[row] = read(past, readUs);
      }
    });
  const nothing = program.layout.columns.map((dtype) => columnOf(dtype, []));
  const unknown = read(
    {
      events: {
        length: 0,
        timeUs: new Float64Array(0),
        arrivalUs: null,
        id: new BigInt64Array(0),
        columns: nothing,
      },
      from: 0,
      to: 0,
    },
    0,
  );
  const columns = dtypes.map((dtype, feature) => {
    const builder = new ColumnBuilder(dtype, request.length);
    for (let row = 0; row < request.length; row++) builder.push((values[row] ?? unknown)[feature]!);
    return builder.finish();
  });
  return { columns, hidden };
}

/** Rows from…to of `events`: all that there is. */
interface Past {
  readonly events: Events;
  readonly from: number;
  readonly to: number;
}

/** The events of a key that a read at `readUs` may know of. */
function pastOf(
  { events, starts, visibleFrom, visibleTo }: KeyedEvents,
  key: number,
  readUs: InstantUs,
): Past {
  const from = starts[key]!;
  let to = from;
  while (to < starts[key + 1]! && events.timeUs[to]! < readUs) to++;
  if (visibleFrom === undefined) return { events, from, to };
  const rows: number[] = [];
  for (let row = from; row < to; row++)
    if (visibleFrom[row]! < readUs && (visibleTo == null || readUs <= visibleTo[row]!))
      rows.push(row);
  return { events: pick(events, rows), from: 0, to: rows.length };
}

function pick({ timeUs, arrivalUs, id, columns }: Events, rows: readonly number[]): Events {
  return {
    length: rows.length,
    timeUs: Float64Array.from(rows, (row) => timeUs[row]!),
    arrivalUs: arrivalUs && Float64Array.from(rows, (row) => arrivalUs[row]!),
    id: BigInt64Array.from(rows, (row) => id[row]!),
    columns: columns.map((column) => gather(column, rows)),
  };
}
