/**
 * The project that `samewise init` writes: small, complete, and working at once. Its data is made here by a fixed
 * recurrence, so that every new project is the same.
 */
import { formatInstant, parseInstant, US_PER_DAY, US_PER_SECOND } from '../base/time.ts';

/** File contents by path relative to the new project. */
export function scaffold(name: string, samewiseVersion: string): Readonly<Record<string, string>> {
  const { transactions, labels } = sampleData();
  return {
    'package.json': `${JSON.stringify(
      {
        name,
        private: true,
        type: 'module',
        scripts: { samewise: 'samewise' },
        dependencies: { samewise: `^${samewiseVersion}` },
      },
      null,
      2,
    )}\n`,
    'samewise.config.json': `${JSON.stringify({ definitions: 'features.ts' }, null, 2)}\n`,
    'tsconfig.json': `${JSON.stringify(
      {
        compilerOptions: {
          target: 'esnext',
          module: 'nodenext',
          strict: true,
          noEmit: true,
          allowImportingTsExtensions: true,
          skipLibCheck: true,
        },
        include: ['*.ts'],
      },
      null,
      2,
    )}\n`,
    '.gitignore': 'node_modules/\n.samewise/\ntraining.parquet*\n',
    'features.ts': FEATURES,
    'data/transactions.csv': transactions,
    'labels.csv': labels,
    'new.csv': NEW_EVENTS,
    'README.md': readme(name),
  };
}

const FEATURES = `import {
  avg, count, csv, entity, featureService, featureView, float64, int64, lastK, onDemandView, source, timestamp,
} from 'samewise';

export const customer = entity({
  name: 'customer',
  key: { customer_id: int64 },
  owner: 'fraud-team',
  description: 'someone who pays by card',
});

export const transactions = source({
  name: 'transactions',
  columns: { tx_id: int64, at: timestamp, customer_id: int64, amount: float64 },
  eventTime: 'at',
  eventId: 'tx_id',
  lateness: '1h',
  batch: csv('data/transactions.csv'),
  owner: 'payments',
});

export const spending = featureView({
  name: 'customer_spending',
  entity: customer,
  source: transactions,
  freshness: '5s',
  owner: 'fraud-team',
  features: ({ amount }) => ({
    tx_count_1d: count().over('1d').describe('transactions of the last day'),
    avg_amount_7d: avg(amount).over('7d').describe('mean amount of the last seven days'),
    last_5_amounts: lastK(amount, 5).over('30d'),
  }),
});

export const context = onDemandView({
  name: 'amount_context',
  request: { amount: float64 },
  uses: { spending },
  owner: 'fraud-team',
  features: ({ request, spending }) => ({
    amount_to_mean: request.amount.div(spending.avg_amount_7d),
  }),
});

export const fraud = featureService({
  name: 'fraud_v1',
  model: 'fraud-detector',
  features: [spending, context],
  owner: 'fraud-team',
});
`;

/** Two events after the history, to push. */
const NEW_EVENTS = `tx_id,at,customer_id,amount
401,2024-04-01T09:30:00Z,1,18.40
402,2024-04-01T09:31:15Z,2,75.00
`;

function readme(name: string): string {
  return `# ${name}

A Samewise project. Definitions are in \`features.ts\`, sample data in \`data/\`.

    samewise plan                              # what would change in the registry
    samewise apply --yes                       # register it
    samewise materialize                       # history -> online store
    samewise train --service fraud_v1 --labels labels.csv --time at --out training.parquet
    samewise get fraud_v1 --key customer_id=1 --request amount=25
    samewise serve                             # the same over HTTP
    samewise verify training.parquet.manifest.json --online 100 --leakage
    samewise push transactions new.csv         # once, however often
    samewise status                            # how fresh the features are
    samewise reconcile                         # does the online store hold what history holds?
`;
}

function sampleData(): { transactions: string; labels: string } {
  // Park & Miller's minimal standard generator: the same numbers on every machine.
  let state = 20_240_301;
  const random = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  const start = parseInstant('2024-03-01');
  const rows = Array.from({ length: 400 }, () => ({
    at: start + Math.floor(random() * 30 * 86_400) * US_PER_SECOND,
    customer: 1 + Math.floor(random() * 8),
    amount: (5 + Math.floor(random() * random() * 20_000) / 100).toFixed(2),
  })).sort((a, b) => a.at - b.at);
  const transactions = rows.map(
    (r, i) => `${i + 1},${formatInstant(r.at)},${r.customer},${r.amount}`,
  );
  const labels = Array.from({ length: 60 }, (_, i) => {
    const at = start + 10 * US_PER_DAY + Math.floor(random() * 20 * 86_400) * US_PER_SECOND;
    return `${1 + (i % 9)},${formatInstant(at)},${(5 + Math.floor(random() * 20_000) / 100).toFixed(2)},${random() < 0.1 ? 1 : 0}`;
  });
  return {
    transactions: `tx_id,at,customer_id,amount\n${transactions.join('\n')}\n`,
    labels: `customer_id,at,amount,is_fraud\n${labels.join('\n')}\n`,
  };
}
