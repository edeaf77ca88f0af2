/** Amazon Kinesis as an event log. */
export type { LeaseStore } from './leases.ts';
export { type KinesisOptions, openKinesisLog } from './log.ts';
