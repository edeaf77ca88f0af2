/** Is this project able to work? Each part is tried in turn; what fails says what to do. */
import { statfsSync } from 'node:fs';
import { freemem } from 'node:os';
import { type Clock, systemClock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import { formatBytes, formatCount } from '../base/numbers.ts';
import type { Source } from '../model/index.ts';
import type { OfflineStore } from '../offline/contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import { catalogAt } from '../plan/index.ts';
import type { Registered, Registry } from '../registry/contract.ts';
import type { EventLog } from '../stream/contract.ts';
import { topicOf } from '../stream/control.ts';
import { isEvicted, readTimeline } from '../timeline/index.ts';
import { type Config, readConfig } from './config.ts';
import { loadDefinitions } from './definitions.ts';
import { liveViews } from './live_views.ts';
import { printOnlinePlace } from './online_place.ts';
import { openOffline, openOnline, openRegistry } from './open.ts';
import { openLog } from './open_log.ts';
import { printRegistryPlace } from './registry_place.ts';

/** The least Node that runs TypeScript as it is without a flag and has what the stores need. */
const MIN_NODE = 24;
/** Below this, work is likely to stop in the middle. */
const MIN_FREE_BYTES = 1 << 30;

export interface Check {
  readonly check: string;
  readonly ok: boolean;
  /** What was found, or what is wrong. */
  readonly detail: string;
  /** What to do; null where nothing is wrong. */
  readonly hint: string | null;
}

/** Checks the project in `projectDir`; never throws for what it finds. */
export async function doctor(options: {
  readonly projectDir: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
}): Promise<Check[]> {
  const checks: Check[] = [];
  const attempt = async <T>(check: string, body: () => Promise<[T, string]>): Promise<T | null> => {
    try {
      const [value, detail] = await body();
      checks.push({ check, ok: true, detail, hint: null });
      return value;
    } catch (error) {
      checks.push(failed(check, error));
      return null;
    }
  };
  await attempt('node', async () => [null, nodeVersion()]);
  const config = await attempt('configuration', async () => {
    const found = readConfig(options.projectDir, options.environment);
    return [found, found.projectDir];
  });
  if (config === null) return checks;
  await attempt('disk', async () => [null, freeSpace(config)]);
  await attempt('definitions', async () => {
    const { featureViews, featureServices } = await loadDefinitions(config);
    const views = Object.keys(featureViews).length;
    return [null, `${views} feature views, ${Object.keys(featureServices).length} services`];
  });
  const registry = await attempt('registry', async () => {
    const opened = await openRegistry(config, options.environment);
    return [opened, `revision ${await opened.head()} in ${printRegistryPlace(config.registry)}`];
  });
  const online = await attempt('online store', async () => {
    const opened = await openOnline(config, options.environment);
    await opened.fence();
    return [opened, `writable, in ${printOnlinePlace(config.online)}`];
  });
  const offline = await attempt('offline store', async () => [
    await openOffline(config, options.clock ?? systemClock),
    `history of streams in ${config.offline.path}`,
  ]);
  const log =
    online === null
      ? null
      : await attempt('event log', async () => [
          await openLog(config, online, options.clock ?? systemClock, options.environment),
          placeOf(config),
        ]);
  try {
    const registered = (await registry?.load()) ?? [];
    if (log !== null)
      for (const source of currentSources(registered))
        await attempt(`events of ${source.name}`, async () => [null, await tryLog(log, source)]);
    if (offline !== null)
      for (const source of currentSources(registered))
        await attempt(`source ${source.name}`, async () => [
          null,
          await tryHistory(offline, registered, source.name),
        ]);
    if (online !== null && registered.some(({ kind }) => kind === 'featureView'))
      for (const view of liveViews(registered, null))
        await attempt(`pages of ${view.name}@${view.version}`, async () => [
          null,
          await tryPage(online, view.program),
        ]);
  } finally {
    await (log as EventLog | null)?.close();
    await offline?.close();
    await online?.close();
    await (registry as Registry | null)?.close();
  }
  return checks;
}

function placeOf({ stream }: Config): string {
  switch (stream.kind) {
    case 'embedded':
      return `embedded, in ${stream.path}`;
    case 'kafka':
      return `Kafka at ${stream.brokers.join(', ')}`;
    case 'kinesis':
      return `Kinesis in ${stream.region}`;
  }
}

/** A topic that nobody has made yet is fine for a source that nothing is pushed to. */
async function tryLog(log: EventLog, source: Source): Promise<string> {
  try {
    const ends = [...(await log.ends(topicOf(source))).values()];
    const kept = ends.reduce((sum, { first, next }) => sum + next - first, 0n);
    return `${formatCount(Number(kept))} records in ${ends.length} partitions`;
  } catch (error) {
    if (error instanceof SamewiseError && error.code === 'stream/no-topic') return 'no topic yet';
    throw error;
  }
}

function failed(check: string, error: unknown): Check {
  if (!(error instanceof SamewiseError)) {
    const detail = error instanceof Error ? error.message : String(error);
    return {
      check,
      ok: false,
      detail,
      hint: 'this looks like a bug in Samewise: please report it',
    };
  }
  const { file, line, column } = error.where;
  const place = [file, line, column].filter((part) => part !== undefined).join(':');
  return {
    check,
    ok: false,
    detail: `${error.code}: ${error.message}${place === '' ? '' : ` (${place})`}`,
    hint: error.hint ?? null,
  };
}

function nodeVersion(): string {
  if (Number(process.versions.node.split('.')[0]) >= MIN_NODE) return process.version;
  throw new SamewiseError('app/old-node', `Node ${process.version} is too old`, {
    hint: `use Node ${MIN_NODE} or later`,
  });
}

function freeSpace({ projectDir }: Config): string {
  const { bavail, bsize } = statfsSync(projectDir);
  const free = bavail * bsize;
  const detail = `${formatBytes(free)} free, ${formatBytes(freemem())} of memory`;
  if (free >= MIN_FREE_BYTES) return detail;
  throw new SamewiseError('app/little-space', detail, {
    where: { file: projectDir },
    hint: 'free some space',
  });
}

function currentSources(registered: readonly Registered[]): Source[] {
  return registered
    .filter(({ kind, state }) => kind === 'source' && state === 'current')
    .map(({ definition }) => definition as Source);
}

/** Finds a source's files and matches their columns with the declared ones, through the first rows of a view of it. */
async function tryHistory(
  offline: OfflineStore,
  registered: readonly Registered[],
  source: string,
): Promise<string> {
  const catalog = catalogAt(registered, { kind: 'source', name: source });
  const { rows, bytes } = await offline.estimate(catalog, source);
  if (rows === 0 && bytes === 0) return 'nothing was pushed yet';
  const view = registered.some(({ kind }) => kind === 'featureView')
    ? liveViews(registered, null).find(({ program }) => program.source.name === source)
    : undefined;
  if (view !== undefined) {
    // No key is asked for: columns and types are matched, and no history is kept.
    const request = { catalog: view.catalog, view: view.name, shard: null, changedSinceUs: null };
    for await (const _ of offline.history({ ...request, keys: [] })) break;
  }
  const size = bytes === null ? '' : `, ${formatBytes(bytes)}`;
  return `${rows === null ? 'rows unknown' : `${formatCount(rows)} rows`}${size}`;
}

/** Reads one page of a view as a server would. */
async function tryPage(
  online: OnlineStore,
  program: ReturnType<typeof liveViews>[number]['program'],
): Promise<string> {
  const { keys, bytes } = await online.size(program.id);
  for await (const key of online.scan(program.id)) {
    const page = { view: program.id, key };
    const [head] = await online.heads([page]);
    if (head !== undefined && isEvicted(head.bytes)) break;
    const blocks = new Map<number, Uint8Array | undefined>();
    const read = () =>
      readTimeline(program.layout, head?.bytes, (n) => blocks.get(n), Number.MAX_SAFE_INTEGER);
    for (let answer = read(); answer.missing.length > 0; answer = read()) {
      const fetched = await online.blocks(page, answer.missing);
      if (fetched.includes(undefined))
        throw new SamewiseError('timeline/damaged-page', 'the head names a block that is gone', {
          hint: `run \`samewise materialize ${program.view.name} --full\``,
        });
      answer.missing.forEach((number, i) => {
        blocks.set(number, fetched[i]);
      });
    }
    break;
  }
  if (keys > 0) return `${formatCount(keys)} keys, ${formatBytes(bytes)}`;
  throw new SamewiseError('app/not-materialized', 'the view has no pages', {
    hint: `run \`samewise materialize ${program.view.name}\``,
  });
}
