/**
 * Lambda: a batch layer over all of history, a speed layer over what has happened since, one answer. Elsewhere these are two programs
 * that have to agree; here both ways lead into the same pages by the same definition.
 */
import { definitions, recipe, transfer, type Values } from './project.ts';

const VIEWS = { activity: "{ count_7d: count().over('7d'), mean_7d: avg(amount).over('7d') }" };
const HISTORY = `id,at,account,amount
1,2026-03-01T10:00:00Z,7,10
2,2026-03-02T10:00:00Z,7,20
3,2026-03-02T11:00:00Z,8,5
`;
const NOW = '2026-03-03T12:00:00Z';

/** The answer of batch and speed, and that of everything built from history at once: they are the same. */
export async function run(): Promise<{ both: Values; rebuilt: Values }> {
  const store = await recipe({ 'history.csv': HISTORY });
  try {
    await store.define(definitions(VIEWS, "batch: csv('history.csv'),"));
    await store.materialize(); // the batch layer
    await store.push('transfers', [
      transfer(4, '2026-03-03T09:00:00Z', 7, 60), // the speed layer
      transfer(2, '2026-03-02T10:00:00Z', 7, 20), // which has seen something that the batch has, too
    ]);
    const both = await store.get('activity', 7, NOW);
    await store.materialize(true);
    return { both, rebuilt: await store.get('activity', 7, NOW) };
  } finally {
    await store.close();
  }
}

if (import.meta.main) console.log(await run());
