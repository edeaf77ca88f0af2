/** What was measured of this code on one core, and what the makers of stores promise: a prediction rests on these numbers. */

interface Measured {
  readonly value: number;
  readonly because: string;
}

const BENCH = 'docs/benchmarks.md, 2026-11-21, one core of a 2 × AMD EPYC';

/** Of the server: a request costs a fixed part and a part for each value (1 × 10, 100 × 10 and 1 × 200 windowed features, solved). */
export const REQUEST_US: Measured = {
  value: 60,
  because: `${BENCH}: HTTP; 65 µs for 1 entity × 10 features, 561 µs for 100 × 10`,
};
export const VALUE_US: Measured = {
  value: 0.68,
  because: `${BENCH}: HTTP; 195 µs for 1 entity × 200 windowed features of 5 views`,
};
/** Of a client of a store over the network. */
export const FAR_PAGE_US: Measured = {
  value: 7.4,
  because: 'one core drives 6,800 pipelined batches of 20 keys a second with ioredis',
};
/** Events that one core takes from a log, and puts into the pages of one view and into history. */
export const EVENTS_PER_CORE: Measured = {
  value: 134_000,
  because: `${BENCH}: Streams: Kafka, two processes, a view with four windows`,
};
/** One page changed in order, with its share of sealing blocks. */
export const UPDATE_US: Measured = {
  value: 11,
  because: `${BENCH}: Timeline of one key; update in order, mean`,
};
/** Rows of a training set of twelve windowed features that one core makes a second. */
export const LABELS_PER_CORE: Measured = {
  value: 381_000,
  because: `${BENCH}: Training set; 1,754,155 rows with 12 features in 4.6 s of CPU time`,
};
/** Pages of 1 to 4 KB that one Redis gives or takes a second on its one core. */
export const REDIS_PER_SHARD: Measured = {
  value: 100_000,
  because:
    'half of the 193,000 SET of a CPU second (GET: 417,000) of `redis-benchmark -d 1024 -P 8`, 2026-11-21: a compare-and-set is a script',
};
/** How busy a core may be on average, if the slowest of a hundred requests is not to wait for long. */
export const BUSY: Measured = {
  value: 0.6,
  because:
    'a queue before a core that is busy for 60 % of the time is 1.5 requests long on average',
};
export const REDIS_SHARD_BYTES: Measured = {
  value: 24 * 2 ** 30,
  because: 'a machine of 32 GiB: a quarter is left for copy-on-write while a replica synchronises',
};
/** A partition of DynamoDB, by its makers' documentation. */
export const DYNAMODB_PARTITION_READS: Measured = {
  value: 3_000,
  because: 'DynamoDB: read units a second of one partition',
};
export const DYNAMODB_PARTITION_WRITES: Measured = {
  value: 1_000,
  because: 'DynamoDB: write units a second of one partition',
};
export const DYNAMODB_PARTITION_BYTES: Measured = {
  value: 10 * 2 ** 30,
  because: 'DynamoDB: bytes of one partition',
};
/** Largest LMDB that one machine should carry: it is fast while it fits into memory. */
export const LMDB_BYTES: Measured = {
  value: 200 * 2 ** 30,
  because: 'a machine of 256 GiB that holds the whole store in its page cache',
};
