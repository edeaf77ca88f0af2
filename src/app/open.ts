/** The one place that names adapters: from configuration to a registry, an online store and an offline store. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Catalog } from '../model/index.ts';
import type { OfflineStore } from '../offline/contract.ts';
import { type DuckdbStore, openDuckdbStore } from '../offline/duckdb/index.ts';
import type { FeatureLogFiles } from '../offline/feature_log_contract.ts';
import type { HistoryLog } from '../offline/history_contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import { openLmdbStore } from '../online/lmdb.ts';
import { openRedisStore } from '../online/redis.ts';
import type { Registry } from '../registry/contract.ts';
import { openPostgresRegistry } from '../registry/postgres.ts';
import { openSqliteRegistry } from '../registry/sqlite.ts';
import { ColdTier } from './cold_tier.ts';
import { type Config, readConfig } from './config.ts';
import { loadDefinitions } from './definitions.ts';
import { decodersOf, openLog } from './open_log.ts';
import type { Streaming } from './streaming.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface App {
  readonly config: Config;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly online: OnlineStore;
  readonly offline: OfflineStore;
  /** History of streams; the offline store reads it. */
  readonly history: HistoryLog;
  /** Vectors that were served; null: the project logs none. */
  readonly featureLog: FeatureLogFiles | null;
  /** Brings back keys that were evicted from the online store. */
  readonly coldTier: ColdTier;
  /** The stores together with the event log, which is opened when it is first asked for: most work needs none. */
  streaming(): Promise<Streaming>;
  /** What the project's definitions file defines, validated. */
  definitions(): Promise<Catalog>;
  /** Gives back files, memory and locks; waits for what is being written. */
  close(): Promise<void>;
}

/** Opens a project's stores, making those that are not there. Close it at the end. */
export async function openApp(options: {
  readonly projectDir: string;
  readonly environment?: Environment;
  readonly clock?: Clock;
}): Promise<App> {
  const config = readConfig(options.projectDir, options.environment);
  const clock = options.clock ?? systemClock;
  const opened: { close(): Promise<void> }[] = [];
  const close = async () => {
    for (const part of opened.toReversed()) await part.close();
  };
  try {
    const registry = await openRegistry(config, options.environment);
    opened.push(registry);
    const online = await openOnline(config, options.environment);
    opened.push(online);
    const offline = await openOffline(config, clock);
    opened.push(offline);
    const history = offline.historyLog;
    let streams: Promise<Streaming> | null = null;
    const openStreams = async (): Promise<Streaming> => {
      const log = await openLog(config, online, clock, options.environment);
      opened.push(log);
      return { registry, online, offline, history, clock, log, decoder: await decodersOf(config) };
    };
    const streaming = () => (streams ??= openStreams());
    return {
      config,
      clock,
      registry,
      online,
      offline,
      history,
      coldTier: new ColdTier({ registry, online, offline, history, clock }),
      featureLog: config.featureLog && offline.featureLog(config.featureLog.path),
      streaming,
      definitions: () => loadDefinitions(config),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export async function openRegistry(
  { registry }: Pick<Config, 'registry'>,
  environment: Environment = process.env,
): Promise<Registry> {
  if (registry.kind === 'postgres')
    return openPostgresRegistry({ url: registry.url, clock: systemClock, environment });
  mkdirSync(dirname(registry.path), { recursive: true });
  return openSqliteRegistry(registry.path);
}

/** The password of a store that asks for one is in SAMEWISE_ONLINE_PASSWORD. */
export async function openOnline(
  { online }: Pick<Config, 'online'>,
  environment: Environment = process.env,
): Promise<OnlineStore> {
  if (online.kind === 'lmdb') return openLmdbStore(online.path);
  const password = environment.SAMEWISE_ONLINE_PASSWORD ?? null;
  return openRedisStore({ place: online, password, clock: systemClock });
}

/** `threads`: how many DuckDB may use; by default as many as the machine has. */
export async function openOffline(
  { offline, projectDir, tempDir }: Config,
  clock: Clock,
  threads?: number,
): Promise<DuckdbStore> {
  return openDuckdbStore({ historyDir: offline.path, projectDir, tempDir, clock, threads });
}
