/**
 * Puts rows that come in any order back into row order, in bounded memory: pieces are kept by block of row numbers and go
 * to files when they grow too large together. Each row number must come exactly once.
 */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { assert } from '../../base/errors.ts';
import type { Column } from '../../types/column.ts';
import { sliceColumn } from '../../types/column_parts.ts';
import type { Dtype } from '../../types/dtype.ts';
import { rowBytes, takeRows } from './columns.ts';
import { PlacedRows } from './placed_rows.ts';

/** Rows of a block at least. */
const BLOCK_ROWS = 1 << 19;
/** What one block may take in memory, estimated. */
const BLOCK_BYTES = 192 * 2 ** 20;
/** What one scatter holds of rows that are not in their places yet. */
const SPILL_BYTES = 64 * 2 ** 20;

/** Rows of a block for columns of these types: all of them where they fit into memory, which saves parting them. */
export function blockRowsOf(rows: number, dtypes: readonly Dtype[]): number {
  return rows * rowBytes(dtypes) <= BLOCK_BYTES ? Math.max(1, rows) : BLOCK_ROWS;
}

interface Piece {
  /** Positions within the block. */
  readonly rows: Int32Array;
  readonly columns: readonly Column[];
}

export class Scatter {
  readonly rows: number;
  readonly #blockRows: number;
  readonly #spillBytes: number;
  readonly #dtypes: readonly Dtype[];
  readonly #folder: string;
  /** The rows of the only block, where there is one: in their places from the start. */
  #placed: PlacedRows | null;
  #filled: readonly Column[] | null = null;
  /** The block that was asked for last. */
  #last: { readonly block: number; readonly columns: readonly Column[] } | null = null;
  readonly #held: Piece[][] = [];
  readonly #spilled: { readonly from: number; readonly length: number }[][] = [];
  #heldBytes = 0;

  /** `folder` is this scatter's own; it is made when it is needed. */
  constructor(
    rows: number,
    blockRows: number,
    dtypes: readonly Dtype[],
    folder: string,
    spillBytes = SPILL_BYTES,
  ) {
    this.#spillBytes = spillBytes;
    this.rows = rows;
    this.#blockRows = blockRows;
    this.#dtypes = dtypes;
    this.#folder = folder;
    for (let block = 0; block * blockRows < rows; block++) {
      this.#held.push([]);
      this.#spilled.push([]);
    }
    this.#placed =
      this.blocks === 1 && dtypes.every(isOfOneSize) ? new PlacedRows(dtypes, rows) : null;
  }

  get blocks(): number {
    return this.#held.length;
  }

  /** Rows of a block: all have as many but the last. */
  rowsOf(block: number): number {
    return Math.min(this.#blockRows, this.rows - block * this.#blockRows);
  }

  /** Adds columns whose row i is row `rows[i]`. The buffers are the scatter's from now on. */
  add(rows: Float64Array, columns: readonly Column[]): void {
    if (this.#placed !== null) {
      this.#placed.put(new Int32Array(rows), columns);
      return;
    }
    const counts = new Int32Array(this.blocks);
    for (const row of rows) counts[Math.floor(row / this.#blockRows)]!++;
    const picked = Array.from(counts, (count) => new Int32Array(count));
    counts.fill(0);
    for (let i = 0; i < rows.length; i++) {
      const block = Math.floor(rows[i]! / this.#blockRows);
      picked[block]![counts[block]!++] = i;
    }
    picked.forEach((positions, block) => {
      if (positions.length === 0) return;
      const within = positions.map((i) => rows[i]! - block * this.#blockRows);
      this.#hold(block, {
        rows: within,
        columns: columns.map((column) => takeRows(column, positions)),
      });
    });
    if (this.#heldBytes > this.#spillBytes) this.#spill();
  }

  /** All rows in their places already, instead of adding them. There is one block. */
  fill(columns: readonly Column[]): void {
    assert(this.blocks === 1, 'there is one block');
    this.#filled = columns;
    this.#placed = null;
  }

  #hold(block: number, piece: Piece): void {
    this.#held[block]!.push(piece);
    this.#heldBytes += piece.rows.byteLength + piece.columns.reduce((n, c) => n + bytesOf(c), 0);
  }

  #spill(): void {
    mkdirSync(this.#folder, { recursive: true });
    this.#held.forEach((pieces, block) => {
      if (pieces.length === 0) return;
      const file = openSync(this.#file(block), 'a');
      try {
        for (const piece of pieces) {
          const data = serialize(piece);
          const last = this.#spilled[block]!.at(-1);
          const from = last === undefined ? 0 : last.from + last.length;
          for (let at = 0; at < data.length; ) at += writeSync(file, data, at);
          this.#spilled[block]!.push({ from, length: data.length });
        }
      } finally {
        closeSync(file);
      }
      pieces.length = 0;
    });
    this.#heldBytes = 0;
  }

  #file(block: number): string {
    return join(this.#folder, `block-${block}`);
  }

  /** The rows of a block in order. May be called again. */
  block(block: number): readonly Column[] {
    if (this.#filled !== null) return this.#filled;
    if (this.#placed !== null) return this.#placed.finish();
    const placed = new PlacedRows(this.#dtypes, this.rowsOf(block));
    for (const { rows, columns } of this.#held[block]!) placed.put(rows, columns);
    const spilled = this.#spilled[block]!;
    if (spilled.length > 0) {
      const data = readFileSync(this.#file(block));
      for (const { from, length } of spilled) {
        const piece = deserialize(data.subarray(from, from + length)) as Piece;
        placed.put(piece.rows, piece.columns);
      }
    }
    return placed.finish();
  }

  /** Rows from…to of a block in order; of a block that is read from files one part after the other. */
  part(from: number, to: number): readonly Column[] {
    const block = Math.floor(from / this.#blockRows);
    if (this.#last?.block !== block) this.#last = { block, columns: this.block(block) };
    const start = block * this.#blockRows;
    return this.#last.columns.map((column) => sliceColumn(column, from - start, to - start));
  }

  /** Drops everything. */
  close(): void {
    this.#held.length = 0;
    this.#placed = null;
    this.#filled = null;
    this.#last = null;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function isOfOneSize({ kind }: Dtype): boolean {
  return kind !== 'list' && kind !== 'vector' && kind !== 'string' && kind !== 'bytes';
}

function bytesOf(column: Column): number {
  switch (column.kind) {
    case 'string':
      return column.data.reduce((sum, value) => sum + 24 + value.length, 0);
    case 'bytes':
      return column.data.reduce((sum, value) => sum + 64 + value.length, 0);
    case 'list':
      return column.offsets.byteLength + bytesOf(column.data);
    default:
      return column.data.byteLength;
  }
}
