/** What a read's value is put together from: the blocks whose partials it takes, and the rows at the edges. For people, not for serving. */
import { windowEnd, windowStart } from '../aggregate/window.ts';
import { ByteReader } from '../base/bytes.ts';
import type { InstantUs } from '../base/time.ts';
import type { Scalar } from '../types/scalar.ts';
import type { Stored } from './apply.ts';
import { openBlock, openHead } from './codec.ts';
import { absorbEncoded, EntriesView } from './entries.ts';
import type { Layout } from './layout.ts';
import { isLifetime, prepare } from './prepare.ts';
import { Tree } from './tree.ts';

/** Some of a window's rows, with what the feature would be of these alone. */
export interface Part {
  /** `block`: its partial, as it is kept; `rows`: read one by one; `dropped`: what retention has kept of rows that are gone. */
  readonly kind: 'block' | 'rows' | 'dropped';
  /** Number of the block that they lie in; null: they lie in the head. */
  readonly block: number | null;
  /** 0 for what was dropped: nobody counts these. */
  readonly rows: number;
  readonly fromUs: number;
  readonly toUs: number;
  readonly value: Scalar | null;
}

/** The parts of feature `read` at `readUs`, the oldest first. Every block that the head names has to be at hand. Throws as `readTimeline` does. */
export function partsOf(
  layout: Layout,
  { head, block }: Stored,
  readUs: InstantUs,
  read: number,
): Part[] {
  if (head === undefined) return [];
  const prepared = prepare(layout);
  const opened = openHead(prepared, head);
  const tree = new Tree(prepared, opened, block);
  const { aggregate, window } = layout.reads[read]!;
  const state = prepared.stateOf[aggregate]!;
  const maker = prepared.aggregates[state]!;
  const hi = tree.rank(windowEnd(window, readUs));
  const startUs = windowStart(window, readUs);
  const first = startUs === Number.NEGATIVE_INFINITY ? 0 : tree.rank(startUs);
  const lo = window.last === null ? first : Math.max(first, hi - window.last);
  const parts: Part[] = [];
  const put = (part: Omit<Part, 'value'>, fill: (states: unknown[]) => void) => {
    const states = prepared.aggregates.map((each) => each.create());
    fill(states);
    parts.push({ ...part, value: prepared.results[aggregate]!.result(states[state]!) });
  };
  const addRows = (
    block: number | null,
    from: number,
    to: number,
    times: (row: number) => number,
  ) =>
    put(
      {
        kind: 'rows',
        block,
        rows: to - from,
        fromUs: times(from),
        toUs: times(to - 1),
      },
      (states) => tree.add(from, to, [state], states),
    );
  const visit = (node: EntriesView, before: number): void => {
    for (let i = 0; i < node.length; i++) {
      const from = before + node.rowsBefore(i);
      const to = before + node.rowsBefore(i + 1);
      if (to <= lo || from >= hi) continue;
      const number = node.number(i);
      if (from >= lo && to <= hi) {
        const rows = to - from;
        put(
          { kind: 'block', block: number, rows, fromUs: node.minUs(i), toUs: node.maxUs(i) },
          (states) => tree.add(from, to, [state], states),
        );
        continue;
      }
      const page = openBlock(prepared, block(number), number, node.checksum(i), node.level(i));
      if (page instanceof EntriesView) visit(page, from);
      else addRows(number, Math.max(lo, from), Math.min(hi, to), (row) => page.timeUs(row - from));
    }
  };
  const { droppedUs, base } = opened.tail;
  if (isLifetime(window) && droppedUs !== Number.NEGATIVE_INFINITY) {
    const fromUs = Number.NEGATIVE_INFINITY;
    put({ kind: 'dropped', block: null, rows: 0, fromUs, toUs: droppedUs }, (states) => {
      const kept = base[prepared.lifetimes.indexOf(state)]!;
      absorbEncoded(maker, states[state], new ByteReader(kept), 'before');
    });
  }
  if (opened.root !== null) visit(opened.root, 0);
  const from = Math.max(lo, tree.sealed);
  if (from < hi) addRows(null, from, hi, (row) => opened.open.timeUs(row - tree.sealed));
  return parts;
}
