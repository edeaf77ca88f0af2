/**
 * Puts rows that come in any order back into row order, in bounded memory: pieces are kept by block of row numbers and go
 * to files when they grow too large together. Each row number must come exactly once.
 */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { assert } from '../../base/errors.ts';
import { type Column, ColumnBuilder } from '../../types/column.ts';
import type { Dtype } from '../../types/dtype.ts';
import { takeRows, wordsOf } from './columns.ts';

/** Rows of a block at least. */
const BLOCK_ROWS = 1 << 19;
/** What one block may take in memory, estimated; also what one scatter holds before it spills. */
const BLOCK_BYTES = 192 * 2 ** 20;

/** Rows of a block for columns of these types: all of them where they fit into memory, which saves parting them. */
export function blockRowsOf(rows: number, dtypes: readonly Dtype[]): number {
  const width = dtypes.reduce((sum, dtype) => sum + widthOf(dtype), 0);
  return rows * width <= BLOCK_BYTES ? Math.max(1, rows) : BLOCK_ROWS;
}

function widthOf(dtype: Dtype): number {
  if (dtype.kind === 'vector') return dtype.size * 4;
  return dtype.kind === 'list' ? 64 : dtype.kind === 'string' || dtype.kind === 'bytes' ? 40 : 8;
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
  readonly #held: Piece[][] = [];
  readonly #spilled: { readonly from: number; readonly length: number }[][] = [];
  #heldBytes = 0;

  /** `folder` is this scatter's own; it is made when it is needed. */
  constructor(
    rows: number,
    blockRows: number,
    dtypes: readonly Dtype[],
    folder: string,
    spillBytes = BLOCK_BYTES,
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
    if (this.blocks === 1) this.#hold(0, { rows: Int32Array.from(rows), columns });
    else {
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
    }
    if (this.#heldBytes > this.#spillBytes) this.#spill();
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
  block(block: number): Column[] {
    const pieces = [...this.#held[block]!];
    const spilled = this.#spilled[block]!;
    if (spilled.length > 0) {
      const data = readFileSync(this.#file(block));
      for (const { from, length } of spilled)
        pieces.push(deserialize(data.subarray(from, from + length)) as Piece);
    }
    const n = this.rowsOf(block);
    assert(
      pieces.reduce((sum, piece) => sum + piece.rows.length, 0) === n,
      'every row of the block has come once',
    );
    return this.#dtypes.map((dtype, i) => scattered(dtype, n, pieces, i));
  }

  /** Drops everything. */
  close(): void {
    this.#held.length = 0;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function scattered(dtype: Dtype, n: number, pieces: readonly Piece[], index: number): Column {
  if (dtype.kind === 'list' || dtype.kind === 'vector') {
    const piece = new Int32Array(n);
    const at = new Int32Array(n);
    pieces.forEach(({ rows }, p) => {
      rows.forEach((row, i) => {
        piece[row] = p;
        at[row] = i;
      });
    });
    const builder = new ColumnBuilder(dtype, n);
    for (let row = 0; row < n; row++)
      builder.pushFrom(pieces[piece[row]!]!.columns[index]!, at[row]!);
    return builder.finish();
  }
  let validity: Uint8Array | null = null;
  let data: Float64Array | null = null;
  for (const { rows, columns } of pieces) {
    const column = columns[index]!;
    const from = column.data as Float64Array;
    data ??=
      column.kind === 'string' || column.kind === 'bytes'
        ? (new Array(n) as unknown as Float64Array)
        : (new (from.constructor as Float64ArrayConstructor)(n) as Float64Array);
    if (column.kind === 'int64') {
      const words = wordsOf(column.data);
      const to = wordsOf(data as unknown as BigInt64Array);
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]!;
        to[2 * row] = words[2 * i]!;
        to[2 * row + 1] = words[2 * i + 1]!;
      }
    } else for (let i = 0; i < rows.length; i++) data[rows[i]!] = from[i]!;
    if (column.validity === null) continue;
    validity ??= new Uint8Array(n).fill(1);
    for (let i = 0; i < rows.length; i++) validity[rows[i]!] = column.validity[i]!;
  }
  assert(data !== null, 'a block has rows');
  return { kind: dtype.kind, dtype, length: n, validity, data } as unknown as Column;
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
