/** Systems that data comes from or lies in, how it gets into features, and whether that way is built. */

export interface System {
  readonly title: string;
  /** How it arrives: a log of events, changes of a table, or files that are read as a whole. */
  readonly way: 'events' | 'changes' | 'files';
  /** What is built of it today. */
  readonly built: 'yes' | 'by files' | 'no';
  readonly how: string;
}

export const SYSTEMS = {
  kafka: {
    title: 'Kafka',
    way: 'events',
    built: 'yes',
    how: '`stream=kafka:…`, JSON, Avro or Protobuf',
  },
  kinesis: {
    title: 'Kinesis',
    way: 'events',
    built: 'yes',
    how: '`stream=kinesis:<region>`',
  },
  debezium: {
    title: 'Debezium (change data capture, from PostgreSQL and others)',
    way: 'changes',
    built: 'yes',
    how: 'a Kafka topic with `format: debezium` and a `mutable` source',
  },
  push: {
    title: 'HTTP push',
    way: 'events',
    built: 'yes',
    how: '`POST /api/v1/events/{source}`, and Feast’s `/push`',
  },
  parquet: {
    title: 'Parquet, CSV or JSON files',
    way: 'files',
    built: 'yes',
    how: '`batch: parquet(…)`, read by DuckDB',
  },
  's3-parquet': {
    title: 'Parquet in S3',
    way: 'files',
    built: 'by files',
    how: 'copy or mount the prefix; reading `s3://` directly is not wired',
  },
  snowflake: {
    title: 'Snowflake',
    way: 'files',
    built: 'by files',
    how: '`COPY INTO @stage … FILE_FORMAT = (TYPE = PARQUET)`; no connector',
  },
  redshift: {
    title: 'Redshift',
    way: 'files',
    built: 'by files',
    how: '`UNLOAD … FORMAT AS PARQUET`; no connector',
  },
  bigquery: {
    title: 'BigQuery',
    way: 'files',
    built: 'by files',
    how: '`EXPORT DATA … format = "PARQUET"`; no connector',
  },
} as const satisfies Record<string, System>;

/** Parts of the store that a design may choose, and whether they are built: a test holds the URLs to the configuration. */
export const PARTS = [
  { title: 'Online store: LMDB', setting: 'online', url: 'lmdb:.samewise/online' },
  { title: 'Online store: Redis', setting: 'online', url: 'redis://127.0.0.1:6379' },
  {
    title: 'Online store: Redis Cluster',
    setting: 'online',
    url: 'redis-cluster://127.0.0.1:7000',
  },
  { title: 'Online store: DynamoDB', setting: 'online', url: 'dynamodb:eu-central-1' },
  { title: 'Registry: SQLite', setting: 'registry', url: 'sqlite:.samewise/registry.db' },
  { title: 'Registry: PostgreSQL', setting: 'registry', url: 'postgres://127.0.0.1:5432/samewise' },
  { title: 'Log: embedded', setting: 'stream', url: 'embedded:.samewise/log' },
  { title: 'Log: Kafka', setting: 'stream', url: 'kafka:127.0.0.1:9092' },
  { title: 'Log: Kinesis', setting: 'stream', url: 'kinesis:eu-central-1' },
  { title: 'History: files', setting: 'offline', url: 'file:.samewise/history' },
  { title: 'History: S3', setting: 'offline', url: 's3://bucket/history' },
] as const;
