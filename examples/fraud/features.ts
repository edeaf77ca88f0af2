/**
 * The twelve features of the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot, Bontempi; chapter 3): how often and
 * how much a customer pays, and how often a terminal saw fraud, over 1, 7 and 30 days. That a payment was fraud is known
 * only a week later, hence the delay of the terminal's features. Names are the authors'.
 *
 * The authors count the payment itself: read `through` its time.
 */
import {
  avg,
  count,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  parquet,
  source,
  timestamp,
} from 'samewise';

/** The definitions over a Parquet file of transactions. */
export function fraudFeatures(path: string) {
  const customer = entity({ name: 'customer', key: { CUSTOMER_ID: int64 } });
  const terminal = entity({ name: 'terminal', key: { TERMINAL_ID: int64 } });
  const transactions = source({
    name: 'transactions',
    columns: {
      TRANSACTION_ID: int64,
      TX_DATETIME: timestamp,
      CUSTOMER_ID: int64,
      TERMINAL_ID: int64,
      TX_AMOUNT: float64,
      TX_FRAUD: int64,
    },
    eventTime: 'TX_DATETIME',
    eventId: 'TRANSACTION_ID',
    batch: parquet(path),
  });
  const customerSpending = featureView({
    name: 'customer_spending',
    entity: customer,
    source: transactions,
    features: ({ TX_AMOUNT }) => ({
      CUSTOMER_ID_NB_TX_1DAY_WINDOW: count().over('1d'),
      CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW: avg(TX_AMOUNT).over('1d'),
      CUSTOMER_ID_NB_TX_7DAY_WINDOW: count().over('7d'),
      CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW: avg(TX_AMOUNT).over('7d'),
      CUSTOMER_ID_NB_TX_30DAY_WINDOW: count().over('30d'),
      CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW: avg(TX_AMOUNT).over('30d'),
    }),
  });
  const terminalRisk = featureView({
    name: 'terminal_risk',
    entity: terminal,
    source: transactions,
    features: ({ TX_FRAUD }) => {
      const payments = count().delay('7d');
      const risk = avg(TX_FRAUD).delay('7d').default(0);
      return {
        TERMINAL_ID_NB_TX_1DAY_WINDOW: payments.over('1d'),
        TERMINAL_ID_RISK_1DAY_WINDOW: risk.over('1d'),
        TERMINAL_ID_NB_TX_7DAY_WINDOW: payments.over('7d'),
        TERMINAL_ID_RISK_7DAY_WINDOW: risk.over('7d'),
        TERMINAL_ID_NB_TX_30DAY_WINDOW: payments.over('30d'),
        TERMINAL_ID_RISK_30DAY_WINDOW: risk.over('30d'),
      };
    },
  });
  const fraudDetection = featureService({
    name: 'fraud_detection_v1',
    model: 'fraud-detector',
    features: [customerSpending, terminalRisk],
  });
  return { customer, terminal, transactions, customerSpending, terminalRisk, fraudDetection };
}

export const { customer, terminal, transactions, customerSpending, terminalRisk, fraudDetection } =
  fraudFeatures('data/transactions.parquet');
