/**
 * Kappa: the log is all there is. A changed feature is a new version, built beside the old from everything that the log ever
 * brought (workers keep it as history, once), and then follows the log like the old one.
 */
import { definitions, recipe, transfer, type Values } from './project.ts';

const BEFORE = { spending: "{ total_1d: sum(amount).over('1d') }" };
const AFTER = {
  spending: "{ total_3d: sum(amount).over('3d'), largest_3d: max(amount).over('3d') }",
};
const NOW = '2026-03-03T12:00:00Z';

/** Answers of the first definition, of the second after it was built by replay, and of that after one more event. */
export async function run(): Promise<{ first: Values; replayed: Values; live: Values }> {
  const store = await recipe({});
  try {
    await store.define(definitions(BEFORE));
    await store.push('transfers', [
      transfer(1, '2026-03-01T13:00:00Z', 7, 10),
      transfer(2, '2026-03-02T10:00:00Z', 7, 20),
      transfer(3, '2026-03-03T10:00:00Z', 7, 40),
    ]);
    const first = await store.get('spending', 7, NOW);
    await store.define(definitions(AFTER));
    await store.materialize();
    const replayed = await store.get('spending', 7, NOW);
    await store.push('transfers', [transfer(4, '2026-03-03T11:00:00Z', 7, 80)]);
    return { first, replayed, live: await store.get('spending', 7, NOW) };
  } finally {
    await store.close();
  }
}

if (import.meta.main) console.log(await run());
