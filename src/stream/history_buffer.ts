/** Rows of a partition on their way into history: collected until a commit is worth a file. */
import type { Source } from '../model/index.ts';
import type { Checkpoint, DeadLetter, HistoryCommit } from '../offline/history_contract.ts';
import { joinColumns, sliceColumn } from '../types/column_parts.ts';
import type { ReadBatch } from './read_batch.ts';

/** Rows of a batch from `first` on. */
interface Part {
  readonly batch: ReadBatch;
  readonly first: number;
}

export class HistoryBuffer {
  readonly #source: Source;
  readonly #partition: string;
  /** What history has, for certain. */
  durable: Checkpoint | null;
  /** What history has when all of the buffer is committed. */
  reached: Checkpoint | null;
  /** Records, whether or not they are rows. */
  records = 0;
  #parts: Part[] = [];
  #deadLetters: DeadLetter[] = [];

  constructor(source: Source, partition: string, durable: Checkpoint | null) {
    this.#source = source;
    this.#partition = partition;
    this.durable = durable;
    this.reached = durable;
  }

  /** Takes what is beyond all that was taken before, if nothing lies between. */
  add(batch: ReadBatch): void {
    const { reached } = this;
    if (!continues(batch, reached)) return;
    const first = firstAfter(batch.positions, reached);
    if (first < batch.positions.length) this.#parts.push({ batch, first });
    for (const letter of batch.deadLetters)
      if (reached === null || letter.position > reached.position) this.#deadLetters.push(letter);
    this.records += batch.records;
    this.reached = batch.to;
  }

  /** All that was collected, as one commit; the buffer is empty then. Null: nothing was. */
  take(): HistoryCommit | null {
    const { durable: after, reached: to } = this;
    if (to === null || to.position === after?.position) return null;
    const parts = this.#parts;
    const source = this.#source;
    const columns = Object.fromEntries(
      source.columns.map(({ name, dtype }) => {
        const some = parts.map(({ batch, first }) => {
          const column = batch.rows.columns[name]!;
          return first === 0 ? column : sliceColumn(column, first, column.length);
        });
        return [name, joinColumns(dtype, some)];
      }),
    );
    const positions = parts.flatMap(({ batch, first }) =>
      first === 0 ? batch.positions : batch.positions.slice(first),
    );
    const flags = (of: (batch: ReadBatch) => Uint8Array | null) =>
      parts.some(({ batch }) => of(batch) !== null)
        ? Uint8Array.from(
            parts.flatMap(({ batch, first }) =>
              Array.from(
                { length: batch.positions.length - first },
                (_, i) => of(batch)?.[first + i] ?? 0,
              ),
            ),
          )
        : null;
    const arrivalUs = new Float64Array(positions.length);
    let at = 0;
    for (const { batch, first } of parts) {
      arrivalUs.set(batch.arrivalUs.subarray(first), at);
      at += batch.positions.length - first;
    }
    const commit: HistoryCommit = {
      source,
      partition: this.#partition,
      after,
      to,
      rows: { length: positions.length, columns },
      arrivalUs,
      positions,
      retract: flags((batch) => batch.retract),
      late: flags((batch) => batch.late)?.reduce((sum, one) => sum + one, 0) ?? 0,
      deadLetters: this.#deadLetters,
    };
    this.#parts = [];
    this.#deadLetters = [];
    this.records = 0;
    return commit;
  }
}

/** Whether the batch holds what comes next for one that has all up to `at`. */
export function continues({ after, to }: ReadBatch, at: Checkpoint | null): boolean {
  if (at === null) return after === null;
  return to.position > at.position && (after === null || after.position <= at.position);
}

/** The first of growing positions that lies behind a checkpoint. */
export function firstAfter(positions: readonly bigint[], at: Checkpoint | null): number {
  if (at === null || positions.length === 0 || positions[0]! > at.position) return 0;
  let lo = 0;
  let hi = positions.length;
  while (lo < hi) {
    const middle = (lo + hi) >> 1;
    if (positions[middle]! <= at.position) lo = middle + 1;
    else hi = middle;
  }
  return lo;
}
