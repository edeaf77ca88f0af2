/** History as builds and reconciliation read it: resolved, by key, as of the moment they ask. */
import { type Catalog, compileView, eventIds, rowSchemaOf } from '../../../src/model/index.ts';
import type { HistoryRequest, KeyedEvents, OfflineStore } from '../../../src/offline/contract.ts';
import {
  type Changes,
  type Events,
  resolveById,
  resolveHistory,
} from '../../../src/timeline/index.ts';
import { type Column, columnOf, gather, scalarAt } from '../../../src/types/column.ts';
import { encodeKey } from '../../../src/types/key.ts';
import { lookedUp, type RowsOf } from './expected.ts';
import type { Process } from './process.ts';
import type { HistoryRow, SimulatedHistory } from './stores.ts';

/** Keys of one batch. */
const KEYS = 2;

export function simulatedOffline(
  process: Process,
  histories: ReadonlyMap<string, SimulatedHistory>,
): Pick<OfflineStore, 'history'> {
  return {
    async *history(request) {
      const rowsOf = (source: string) => histories.get(source)!.rows;
      const all = await process.call(() => keyedEvents(request.catalog, request, rowsOf));
      for (let from = 0; from < all.length; from += KEYS)
        yield await process.call(() => joined(all.slice(from, from + KEYS)));
    },
  };
}

interface KeyEvents {
  readonly key: Uint8Array;
  readonly events: Events;
  readonly visibleFrom: Float64Array;
  readonly visibleTo: Float64Array | null;
  readonly tombstones: KeyedEvents['tombstones'];
}

function keyedEvents(catalog: Catalog, request: HistoryRequest, rowsOf: RowsOf): KeyEvents[] {
  const program = compileView(catalog, request.view);
  const { source, view, keyDtypes, filter, rowProgram } = program;
  const { keys: asked, upTo, knowledge = 'final' } = request;
  const rows = rowsOf(source.name);
  const there = lookedUp(program, rows as HistoryRow[], rowsOf)
    .filter(({ partition, position }) => upTo == null || position <= (upTo.get(partition) ?? -1n))
    .toSorted((x, y) => (x.values.at as number) - (y.values.at as number));
  const columns: Record<string, Column> = {};
  for (const { name, dtype } of rowSchemaOf(source))
    columns[name] = columnOf(
      dtype,
      there.map(({ values }) => values[name] ?? null),
    );
  const batch = { length: there.length, columns };
  const inputs = rowProgram.run(batch);
  const taken = filter?.run(batch)[0];
  const ids = eventIds(source, batch);
  const keyOf = there.map(({ values }) => {
    const parts = view.keys.map((name) => values[name] ?? null);
    return parts.some((part) => part === null) ? null : encodeKey(parts, keyDtypes).toHex();
  });
  const isTaken = (row: number) => taken === undefined || (taken.data as Uint8Array)[row] === 1;
  const changesOf = (some: readonly number[]): Changes => ({
    length: some.length,
    timeUs: Float64Array.from(some, (row) => there[row]!.values.at as number),
    arrivalUs: Float64Array.from(some, (row) => there[row]!.arrivalUs),
    id: BigInt64Array.from(some, (row) => ids[row]!),
    columns: inputs.map((column) =>
      gather(
        column,
        some.map((row) => (there[row]!.retract ? -1 : row)),
      ),
    ),
    retract: Uint8Array.from(some, (row) => (there[row]!.retract ? 1 : 0)),
  });
  const wanted = asked && new Set(asked.map((key) => key.toHex()));
  /** Every version of a table's rows, by the key under which it stood. */
  const versionsById = (
    { rows, visibleTo }: ReturnType<typeof resolveById>,
    byId: readonly number[],
  ): KeyEvents[] => {
    const versions = [...rows].map((i, v) => ({ row: byId[i]!, until: visibleTo![v]! }));
    const standing = versions.filter(({ row }) => keyOf[row] !== null && isTaken(row));
    standing.sort(
      (x, y) =>
        (there[x.row]!.values.at as number) - (there[y.row]!.values.at as number) ||
        there[x.row]!.arrivalUs - there[y.row]!.arrivalUs,
    );
    return [...Map.groupBy(standing, ({ row }) => keyOf[row]!)]
      .filter(([name]) => wanted === null || wanted.has(name))
      .map(([name, own]) => {
        const events = changesOf(own.map(({ row }) => row));
        return {
          key: Uint8Array.fromHex(name),
          events,
          visibleFrom: events.arrivalUs!,
          visibleTo: Float64Array.from(own, ({ until }) => until),
          tombstones: new Map(),
        };
      });
  };
  let mine = there.map((_, row) => row);
  const buried = new Map<string, number[]>();
  if (source.mutable) {
    const byId = mine.toSorted((x, y) => (ids[x]! < ids[y]! ? -1 : ids[x]! > ids[y]! ? 1 : 0));
    const resolved = resolveById(changesOf(byId), knowledge);
    if (knowledge === 'as-served') return versionsById(resolved, byId);
    mine = [...resolved.rows].map((i) => byId[i]!);
    for (const i of resolved.buried) {
      const key = keyOf[byId[i]!] ?? keyOf.find((name, row) => name && ids[row] === ids[byId[i]!]);
      if (key) buried.set(key, [...(buried.get(key) ?? []), byId[i]!]);
    }
    mine.sort((x, y) => x - y);
  }
  const names = new Set<string>(buried.keys());
  const byKey = new Map<string, number[]>();
  for (const row of mine) {
    const key = keyOf[row]!;
    if (key === null || (!isTaken(row) && !there[row]!.retract)) continue;
    names.add(key);
    byKey.set(key, [...(byKey.get(key) ?? []), row]);
  }
  return [...names]
    .filter((name) => wanted === null || wanted.has(name))
    .sort()
    .map((name) => {
      const { events, tombstones, visibleFrom, visibleTo } = resolveHistory(
        source.mutable,
        changesOf(byKey.get(name) ?? []),
        undefined,
        knowledge,
      );
      const taken = (buried.get(name) ?? []).map((row) => ({
        timeUs: there[row]!.values.at as number,
        id: ids[row]!,
        arrivalUs: there[row]!.arrivalUs,
      }));
      const all = [...(tombstones.get(0) ?? []), ...taken];
      return {
        key: Uint8Array.fromHex(name),
        events,
        visibleFrom,
        visibleTo,
        tombstones: new Map(all.length > 0 ? [[0, all]] : []),
      };
    });
}

function joined(parts: readonly KeyEvents[]): KeyedEvents {
  const starts = new Int32Array(parts.length + 1);
  parts.forEach(({ events }, i) => {
    starts[i + 1] = starts[i]! + events.length;
  });
  const from = parts.flatMap(({ events }) =>
    Array.from({ length: events.length }, (_, row) => ({ events, row })),
  );
  const columns = parts[0]!.events.columns.map((column, c) => {
    const some = parts.map(({ events }) => events.columns[c]!);
    const values = some.flatMap((one) =>
      Array.from({ length: one.length }, (_, row) => scalarAt(one, row)),
    );
    return columnOf(column.dtype, values);
  });
  const visible = (of: (part: KeyEvents) => Float64Array) =>
    Float64Array.from(parts.flatMap((part) => [...of(part).subarray(0, part.events.length)]));
  return {
    visibleFrom: visible(({ visibleFrom }) => visibleFrom),
    visibleTo: visible(
      ({ events, visibleTo }) =>
        visibleTo ?? new Float64Array(events.length).fill(Number.POSITIVE_INFINITY),
    ),
    keys: parts.map(({ key }) => key),
    starts,
    events: {
      length: from.length,
      timeUs: Float64Array.from(from, ({ events, row }) => events.timeUs[row]!),
      arrivalUs: Float64Array.from(
        from,
        ({ events, row }) => (events.arrivalUs ?? events.timeUs)[row]!,
      ),
      id: BigInt64Array.from(from, ({ events, row }) => events.id[row]!),
      columns,
    },
    tombstones: new Map(
      parts.flatMap(({ tombstones }, i) =>
        tombstones.has(0) ? [[i, tombstones.get(0)!] as const] : [],
      ),
    ),
  };
}
