/** What history has of some keys of a view, evaluated once, so that any state that a page may have been in can be made of it. */

import type { ViewProgram } from '../model/index.ts';
import type { Delivery } from '../offline/contract.ts';
import { type Evaluated, evaluate, nameOfKey } from '../stream/evaluate.ts';
import { type Changes, type Events, resolveById, resolveHistory } from '../timeline/index.ts';
import { columnOf, gather } from '../types/column.ts';
import { decodeKey, printKey } from '../types/key.ts';

export class DeliveredRows {
  readonly program: ViewProgram;
  readonly deliveries: readonly Delivery[];
  readonly #evaluated: Evaluated;
  readonly #numberOf: ReadonlyMap<string, number>;
  /** By key: of a mutable source all rows of every id that was ever under it. Sorted by (t, a, id). */
  readonly #rowsOf = new Map<number, readonly number[]>();

  constructor(program: ViewProgram, deliveries: readonly Delivery[]) {
    this.program = program;
    this.deliveries = deliveries;
    const columns = Object.fromEntries(
      program.rowSchema.map(({ name, dtype }) => [
        name,
        columnOf(
          dtype,
          deliveries.map(({ values }) => values[name]!),
        ),
      ]),
    );
    this.#evaluated = evaluate(program, { length: deliveries.length, columns });
    this.#numberOf = new Map(this.#evaluated.keys.map((key, i) => [nameOfKey(key), i]));
    for (const [number, rows] of this.#grouped())
      this.#rowsOf.set(number, rows.sort(this.#inOrder));
  }

  /** Rows that have to do with a key, sorted by (t, a, id). */
  rowsOf(key: Uint8Array): readonly number[] {
    const number = this.#numberOf.get(nameOfKey(key));
    return number === undefined ? [] : this.#rowsOf.get(number)!;
  }

  /** What the page of a key holds that has absorbed these rows: as the kernel resolves them, whatever came first. */
  eventsOf(key: Uint8Array, rows: readonly number[]): Events {
    const { mutable } = this.program.layout;
    const number = this.#numberOf.get(nameOfKey(key)) ?? -1;
    const { taken, keyOf } = this.#evaluated;
    const { deliveries } = this;
    const leaves = (row: number) =>
      deliveries[row]!.retract || (mutable && (keyOf[row] !== number || taken?.[row] === 0));
    if (!mutable) {
      // In order, history that is plain costs the kernel nothing.
      const kept = rows.filter((row) => leaves(row) || taken?.[row] !== 0).sort(this.#inOrder);
      return resolveHistory(false, this.#changesOf(kept, leaves)).events;
    }
    const byId = [...rows].sort((a, b) => compareIds(deliveries[a]!.id, deliveries[b]!.id));
    const changes = this.#changesOf(byId, leaves);
    const standing = [...resolveById(changes).rows].map((at) => byId[at]!);
    return resolveHistory(
      false,
      this.#changesOf(standing, () => false),
    ).events;
  }

  /** A key as people read it. */
  printed(key: Uint8Array): string {
    const { entity, keyDtypes } = this.program;
    const names = entity.key.map(({ name }) => name);
    return printKey(names, decodeKey(key, keyDtypes), keyDtypes);
  }

  readonly #inOrder = (a: number, b: number): number => {
    const [x, y] = [this.deliveries[a]!, this.deliveries[b]!];
    return x.timeUs - y.timeUs || x.arrivalUs - y.arrivalUs || compareIds(x.id, y.id);
  };

  #grouped(): Map<number, number[]> {
    const { keyOf, failed } = this.#evaluated;
    const groups = new Map<number, number[]>();
    if (!this.program.layout.mutable) {
      keyOf.forEach((number, row) => {
        if (number >= 0) groups.getOrInsertComputed(number, () => []).push(row);
      });
      return groups;
    }
    const byId = Map.groupBy(this.deliveries.keys(), (row) => this.deliveries[row]!.id);
    for (const rows of byId.values()) {
      // A row that cannot be evaluated leaves pages as they are.
      const sound = rows.filter((row) => !failed.has(row));
      for (const number of new Set(sound.map((row) => keyOf[row]!)))
        if (number >= 0) groups.getOrInsertComputed(number, () => []).push(...sound);
    }
    return groups;
  }

  #changesOf(rows: readonly number[], leaves: (row: number) => boolean): Changes {
    const { deliveries } = this;
    const retract = Uint8Array.from(rows, (row) => (leaves(row) ? 1 : 0));
    return {
      length: rows.length,
      timeUs: Float64Array.from(rows, (row) => deliveries[row]!.timeUs),
      arrivalUs: Float64Array.from(rows, (row) => deliveries[row]!.arrivalUs),
      id: BigInt64Array.from(rows, (row) => deliveries[row]!.id),
      columns: this.#evaluated.columns.map((column) => gather(column, rows)),
      retract: retract.includes(1) ? retract : null,
    };
  }
}

function compareIds(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
