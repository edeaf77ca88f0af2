/** An online store and a history in memory, as processes reach them over the simulation's network. */
import assert from 'node:assert/strict';
import type {
  DeadLetter,
  HistoryCommit,
  HistoryLog,
  HistoryState,
  PartitionHistory,
  StoredDeadLetter,
} from '../../../src/offline/history_contract.ts';
import type { Head, OnlineStore, PageKey, PageWrite } from '../../../src/online/contract.ts';
import { scalarAt } from '../../../src/types/column.ts';
import type { Scalar } from '../../../src/types/scalar.ts';
import type { Process } from './process.ts';

interface Page {
  readonly view: string;
  readonly key: Uint8Array;
  head: Head;
  readonly blocks: Map<number, Uint8Array>;
}

export class SimulatedStore {
  readonly pages = new Map<string, Page>();
  readonly meta = new Map<string, Uint8Array>();
  #version = 0;

  heads(keys: readonly PageKey[]): (Head | undefined)[] {
    return keys.map((key) => this.pages.get(nameOf(key))?.head);
  }

  blocks(key: PageKey, blocks: readonly number[]): (Uint8Array | undefined)[] {
    const page = this.pages.get(nameOf(key));
    return blocks.map((block) => page?.blocks.get(block));
  }

  /** Each write is whole or not at all; of several some may be, when the process or the network breaks off. */
  write(writes: readonly PageWrite[]): boolean[] {
    return writes.map(({ view, key, expect, head, putBlocks, dropBlocks }) => {
      const name = nameOf({ view, key });
      const page = this.pages.get(name);
      if ((page?.head.version ?? 0) !== expect) return false;
      if (head === null) {
        this.pages.delete(name);
        return true;
      }
      const blocks = page?.blocks ?? new Map<number, Uint8Array>();
      const version = ++this.#version;
      this.pages.set(name, { view, key, head: { bytes: head, version }, blocks });
      for (const number of dropBlocks) blocks.delete(number);
      for (const [number, bytes] of putBlocks) blocks.set(number, bytes);
      return true;
    });
  }

  keysOf(view: string): Uint8Array[] {
    return [...this.pages.values()].filter((page) => page.view === view).map(({ key }) => key);
  }

  for(process: Process): OnlineStore {
    const size = (view: string) => ({ keys: this.keysOf(view).length, bytes: 0 });
    const keysOf = (view: string) => this.keysOf(view);
    return {
      heads: (keys) => process.call(() => this.heads(keys)),
      blocks: (key, blocks) => process.call(() => this.blocks(key, blocks)),
      compareAndSet: (writes) =>
        process.call(
          () => this.write(writes),
          () => this.write(writes.filter(() => process.random.chance(0.5))),
        ),
      fence: () => process.call(() => this.#version),
      async *scan(view) {
        yield* await process.call(() => keysOf(view));
      },
      size: (view) => process.call(() => size(view)),
      dropView: (view) =>
        process.call(() => {
          for (const [name, page] of this.pages) if (page.view === view) this.pages.delete(name);
        }),
      getMeta: (name) => process.call(() => this.meta.get(name)),
      putMeta: (name, value) => process.call(() => void this.meta.set(name, value)),
      close: async () => {},
    };
  }
}

function nameOf({ view, key }: PageKey): string {
  return `${view} ${key.toHex()}`;
}

/** One row of history. */
export interface HistoryRow {
  readonly partition: string;
  readonly position: bigint;
  readonly arrivalUs: number;
  readonly retract: boolean;
  readonly values: Readonly<Record<string, Scalar | null>>;
}

export class SimulatedHistory {
  rows: HistoryRow[] = [];
  letters: StoredDeadLetter[] = [];
  late = 0;
  version = 0;
  readonly #partitions = new Map<string, PartitionHistory>();

  state(): HistoryState {
    const partitions = new Map(this.#partitions);
    return { version: this.version, partitions, files: this.version, bytes: 0 };
  }

  commit(commit: HistoryCommit): boolean {
    const { partition, after, to, rows, positions, arrivalUs, retract, deadLetters } = commit;
    const before = this.#partitions.get(partition);
    if (before?.position !== after?.position) return false;
    const inside = (position: bigint) =>
      position <= to.position && (after === null || position > after.position);
    assert.ok(positions.every(inside), 'a commit holds what it says');
    assert.ok(deadLetters.every(({ position }) => inside(position)));
    assert.equal(rows.length, positions.length);
    for (let i = 0; i < rows.length; i++) {
      const values = Object.fromEntries(
        Object.entries(rows.columns).map(([name, column]) => [name, scalarAt(column, i)]),
      );
      this.rows.push({
        partition,
        position: positions[i]!,
        arrivalUs: arrivalUs[i]!,
        retract: retract?.[i] === 1,
        values,
      });
    }
    this.letters.push(
      ...deadLetters.map((letter: DeadLetter) => ({ ...letter, state: 'open' as const })),
    );
    this.late += commit.late;
    this.version++;
    this.#partitions.set(partition, {
      ...to,
      rows: (before?.rows ?? 0) + rows.length,
      late: (before?.late ?? 0) + commit.late,
      deadLetters: (before?.deadLetters ?? 0) + deadLetters.length,
    });
    return true;
  }

  for(process: Process): HistoryLog {
    const letters = () => [...this.letters];
    return {
      state: () => process.call(() => this.state()),
      commit: (commit) => process.call(() => this.commit(commit)),
      compact: () => process.call(() => ({ before: this.version, after: this.version })),
      async *deadLetters() {
        yield* await process.call(letters);
      },
      settleDeadLetters: (_, places, state) =>
        process.call(() => {
          const settled = ({ partition, position }: DeadLetter) =>
            places.some((place) => place.partition === partition && place.position === position);
          this.letters = this.letters.map((letter) =>
            settled(letter) ? { ...letter, state } : letter,
          );
        }),
    };
  }
}

/** Histories by source as one, as a process reaches them. */
export function historiesFor(
  histories: ReadonlyMap<string, SimulatedHistory>,
  process: Process,
): HistoryLog {
  const all = new Map([...histories].map(([source, history]) => [source, history.for(process)]));
  const of = (source: string) => all.get(source)!;
  return {
    state: (source) => of(source).state(source),
    commit: (commit) => of(commit.source.name).commit(commit),
    compact: (source) => of(source.name).compact(source),
    deadLetters: (source) => of(source).deadLetters(source),
    settleDeadLetters: (source, places, state) =>
      of(source).settleDeadLetters(source, places, state),
  };
}
