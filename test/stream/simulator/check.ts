/** What a run has to end with: history with each event once, and pages that read as a fold over what stands. */
import assert from 'node:assert/strict';
import { SamewiseError } from '../../../src/base/errors.ts';
import type { ViewProgram } from '../../../src/model/index.ts';
import { readTimeline } from '../../../src/timeline/index.ts';
import { sameScalar } from '../../../src/types/scalar.ts';
import { valuesAt } from '../../oracle/timeline.ts';
import { RULES } from '../../timeline/agreement.ts';
import type { Expected, Standing } from './expected.ts';
import type { Random } from './random.ts';
import { LONGEST_US, START_US } from './scenario.ts';
import type { SimulatedHistory, SimulatedStore } from './stores.ts';

export function checkHistory(history: SimulatedHistory, { rows, dead }: Expected): void {
  const plain = ({ partition, position, arrivalUs, retract, values }: Expected['rows'][number]) =>
    `${partition} ${position} ${arrivalUs} ${retract} ${Object.values(values).join()}`;
  assert.deepEqual(
    history.rows.map((row) => plain({ ...row, late: false })).sort(),
    rows.map(plain).sort(),
    'history has each event once, as it arrived',
  );
  assert.equal(history.late, rows.filter(({ late }) => late).length, 'late events');
  assert.deepEqual(
    history.letters.map(({ partition, position }) => `${partition} ${position}`).sort(),
    dead.toSorted(),
    'dead letters',
  );
}

export function checkPages(
  { random, store }: { readonly random: Random; readonly store: SimulatedStore },
  program: ViewProgram,
  standing: Standing,
): void {
  const { layout, id, view } = program;
  const keys = new Set([...standing.keys(), ...store.keysOf(id).map((key) => key.toHex())]);
  for (const hex of keys) {
    const key = Uint8Array.fromHex(hex);
    const [head] = store.heads([{ view: id, key }]);
    const block = (n: number) => store.blocks({ view: id, key }, [n])[0];
    const events = standing.get(hex) ?? [];
    for (let reads = 0; reads < 12; reads++) {
      let at = START_US + random.below(200) * 1_000_000;
      if (events.length > 0 && random.chance(0.7))
        at = random.pick(events).t + random.pick([0, 1, 20_000_000, 45_000_000, 45_000_001]);
      // What is older than retention and came late no page ever had, nor is it to have it.
      const keptUs = (events.at(-1)?.t ?? 0) - (layout.retentionUs ?? Number.POSITIVE_INFINITY);
      if (at - LONGEST_US <= keptUs) continue;
      const found = kept(() => readTimeline(layout, head?.bytes, block, at));
      if (found === null) continue;
      assert.equal(found.missing.length, 0, 'all blocks are there');
      const right = valuesAt(layout, events, at, RULES);
      right.forEach((value, i) => {
        if (sameScalar(found.values[i]!, value)) return;
        assert.fail(
          `${view.name} of ${hex} at ${at}, value ${i}: ${String(found.values[i])} where ${String(value)} is right`,
        );
      });
    }
  }
}

/** What a read gives; null where it needs what is no longer kept. */
function kept<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof SamewiseError && error.code === 'timeline/beyond-retention') return null;
    throw error;
  }
}
