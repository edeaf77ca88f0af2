/**
 * The client for programs in TypeScript: answers have the names and types of the service's own definition.
 *
 *     import { connect } from 'samewise/client';
 *     import { fraud } from './features.ts';
 *     const store = connect('http://localhost:6570');
 *     const { values } = await store.get(fraud, { customer_id: 7n, amount: 25.5 });
 *     values.avg_amount_7d; // number | null
 */
export { SamewiseError } from '../base/errors.ts';
export {
  type Client,
  type ClientOptions,
  connect,
  type ExplainOptions,
  type PushOptions,
  type ReadOptions,
} from './client.ts';
export type {
  Answer,
  Answered,
  Explained,
  ExplainedPart,
  Pushed,
  PushedEvent,
  Request,
  ValueStatus,
  Values,
} from './types.ts';
