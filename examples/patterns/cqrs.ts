/**
 * CQRS: commands append events and are answered when they are durable, or when queries see them; queries read projections that
 * nobody writes to. A projection is a view, so one that is thought of later knows all that happened before it, at any time.
 */
import { definitions, recipe, transfer, type Values } from './project.ts';

const BALANCE = { balance: '{ balance: sum(amount).lifetime(), transfers: count().lifetime() }' };
const LATER = { ...BALANCE, statement: '{ last_two: lastK(amount, 2).lifetime() }' };

/** The balance after each command, the one of a past day, and a projection that was added afterwards. */
export async function run(): Promise<{
  balances: Values[];
  dayBefore: Values;
  statement: Values;
}> {
  const store = await recipe({});
  const now = '2026-03-04T00:00:00Z';
  try {
    await store.define(definitions(BALANCE));
    const balances: Values[] = [];
    for (const command of [
      transfer(1, '2026-03-01T10:00:00Z', 7, 100),
      transfer(2, '2026-03-02T10:00:00Z', 7, -30),
      // It is corrected: the same event, taken back.
      { ...transfer(2, '2026-03-02T10:00:00Z', 7, -30), __op: 'retract' },
      transfer(3, '2026-03-03T10:00:00Z', 7, -35),
    ]) {
      await store.push('transfers', [command]);
      balances.push(await store.get('balance', 7, now)); // read your writes
    }
    await store.define(definitions(LATER));
    await store.materialize();
    return {
      balances,
      dayBefore: await store.get('balance', 7, '2026-03-03T00:00:00Z'),
      statement: await store.get('statement', 7, now),
    };
  } finally {
    await store.close();
  }
}

if (import.meta.main) console.log(await run());
