/** Changes into pages: by key, with compare-and-set, again for those that another writer was faster with. */
import { SamewiseError } from '../base/errors.ts';
import type { ViewProgram } from '../model/index.ts';
import type { Head, OnlineStore, PageWrite } from '../online/contract.ts';
import { applyChanges, type Changes, type Update } from '../timeline/index.ts';
import { type Column, gather } from '../types/column.ts';
import { decodeKey, printKey } from '../types/key.ts';

/** Keys that one transaction stores. */
const KEYS_A_WRITE = 500;
/** How often a key may be lost to other writers in a row; each time needs one of them in between. */
const MAX_ROUNDS = 1_000;

/** One change of one timeline. `row`: of the evaluated columns; −1 for a retract, which has no values. */
export interface Change {
  readonly key: Uint8Array;
  readonly timeUs: number;
  readonly arrivalUs: number;
  readonly id: bigint;
  readonly row: number;
}

/** Applies the changes; the same ones again change nothing. Returns how many keys' pages they made another. */
export async function applyToPages(
  online: OnlineStore,
  program: ViewProgram,
  columns: readonly Column[],
  changes: readonly Change[],
): Promise<number> {
  const byKey = new Map<string, Change[]>();
  for (const change of changes) {
    const name = change.key.toHex();
    const own = byKey.get(name);
    if (own === undefined) byKey.set(name, [change]);
    else own.push(change);
  }
  let left = [...byKey.values()];
  let written = 0;
  for (let round = 0; left.length > 0; round++) {
    if (round === MAX_ROUNDS) {
      throw new SamewiseError('app/contended', `${left.length} keys changed under every attempt`, {
        where: { view: program.view.name },
        hint: 'push again: what is applied already stays as it is',
      });
    }
    const lost: Change[][] = [];
    for (let from = 0; from < left.length; from += KEYS_A_WRITE) {
      const some = left.slice(from, from + KEYS_A_WRITE);
      const heads = await online.heads(
        some.map(([first]) => ({ view: program.id, key: first!.key })),
      );
      const writes: PageWrite[] = [];
      const owners: Change[][] = [];
      for (const [i, own] of some.entries()) {
        const update = await updateOf(online, program, columns, own, heads[i]);
        if (update === 'again') lost.push(own);
        else if (update !== null) {
          const expect = heads[i]?.version ?? 0;
          writes.push({ view: program.id, key: own[0]!.key, expect, ...update });
          owners.push(own);
        }
      }
      const applied = await online.compareAndSet(writes);
      for (const [i, own] of owners.entries()) {
        if (applied[i]) written++;
        else lost.push(own);
      }
    }
    left = lost;
  }
  return written;
}

/** The page after the changes; null if it is the same, `again` if it changed while its blocks were read. */
async function updateOf(
  online: OnlineStore,
  program: ViewProgram,
  columns: readonly Column[],
  own: readonly Change[],
  head: Head | undefined,
): Promise<Update | null | 'again'> {
  const changes = changesOf(columns, own);
  const page = { view: program.id, key: own[0]!.key };
  const blocks = new Map<number, Uint8Array>();
  for (;;) {
    const missing: number[] = [];
    const block = (number: number) => {
      const found = blocks.get(number);
      if (found === undefined) missing.push(number);
      return found;
    };
    try {
      return applyChanges(program.layout, { head: head?.bytes, block }, changes);
    } catch (error) {
      if (missing.length === 0) throw located(error, program, page.key);
      const fetched = await online.blocks(page, missing);
      if (fetched.includes(undefined)) {
        const [now] = await online.heads([page]);
        if (now?.version !== head?.version) return 'again';
        throw located(error, program, page.key);
      }
      missing.forEach((number, i) => {
        blocks.set(number, fetched[i]!);
      });
    }
  }
}

function changesOf(columns: readonly Column[], own: readonly Change[]): Changes {
  const rows = own.map(({ row }) => row);
  return {
    length: own.length,
    timeUs: Float64Array.from(own, ({ timeUs }) => timeUs),
    arrivalUs: Float64Array.from(own, ({ arrivalUs }) => arrivalUs),
    id: BigInt64Array.from(own, ({ id }) => id),
    columns: columns.map((column) => gather(column, rows)),
    retract: rows.includes(-1) ? Uint8Array.from(rows, (row) => (row < 0 ? 1 : 0)) : null,
  };
}

function located(error: unknown, { entity, keyDtypes, view }: ViewProgram, key: Uint8Array) {
  if (!(error instanceof SamewiseError)) return error;
  const names = entity.key.map(({ name }) => name);
  return error.at({
    view: view.name,
    entity: entity.name,
    key: printKey(names, decodeKey(key, keyDtypes), keyDtypes),
  });
}
