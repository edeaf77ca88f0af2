/** The offline store on DuckDB. */
import type { Clock } from '../../base/clock.ts';
import { sourceOf } from '../../model/index.ts';
import type { OfflineStore, Running, TrainingRequest, TrainingResult } from '../contract.ts';
import type { FeatureLogFiles } from '../feature_log_contract.ts';
import type { HistoryLog } from '../history_contract.ts';
import { readDeliveries } from './deliveries.ts';
import { openEngine, withConnection } from './engine.ts';
import { estimateSource } from './estimate.ts';
import { openFeatureLog } from './feature_log.ts';
import { Feeds } from './feed.ts';
import { trainFromLog } from './from_log.ts';
import { keyedHistory } from './history.ts';
import { machineDisk } from './history_disk.ts';
import { openHistoryLog } from './history_log.ts';
import { keepRows } from './labels.ts';
import {
  differences,
  labelsPath,
  manifestOf,
  manifestPath,
  positionsIn,
  readManifest,
  requestOf,
  writeManifest,
} from './manifest.ts';
import { readEventsFile } from './read_events.ts';
import { RowValues } from './row_values.ts';
import { sampleTraining } from './sample.ts';
import { writeSnapshot } from './snapshot.ts';
import { type BuildRequest, buildTrainingSet, type TrainContext } from './train.ts';

/** Where the store keeps things and what it may use. */
export interface DuckdbStoreOptions {
  /** Where the history of streams lies, `<historyDir>/<source>/`. */
  readonly historyDir: string;
  /** Relative paths of sources and labels start here. */
  readonly projectDir: string;
  /** For what does not fit into memory; emptied on close. */
  readonly tempDir: string;
  readonly clock: Clock;
  /** DuckDB's threads; by default as many as the machine has. */
  readonly threads?: number;
  /** DuckDB's own memory, beyond which it spills; `1GB` by default. */
  readonly memoryLimit?: string;
  /** What one sort may take in JavaScript's memory; DuckDB does larger ones out of core. 96 MiB by default. */
  readonly sortBytes?: number;
  /** Labels from which on each look-up has a thread of its own. 131,072 by default. */
  readonly threadRows?: number;
}

/** The offline store together with the history of streams, which every scan of it reads. */
export interface DuckdbStore extends OfflineStore {
  readonly historyLog: HistoryLog;
  /** The feature log in a folder, which need not exist yet. */
  featureLog(folder: string): FeatureLogFiles;
}

/** Opens the offline store. Close it to give back memory and temporary files. */
export async function openDuckdbStore(options: DuckdbStoreOptions): Promise<DuckdbStore> {
  const { projectDir, historyDir, clock } = options;
  const engine = await openEngine({
    tempDir: options.tempDir,
    projectDir,
    threads: options.threads ?? null,
    memoryLimit: options.memoryLimit ?? '1GB',
    sortBytes: options.sortBytes,
    threadRows: options.threadRows,
  });
  const context: TrainContext = {
    engine,
    feeds: new Feeds(),
    rowValues: new RowValues(),
    paths: { projectDir, historyDir },
  };
  return {
    historyLog: openHistoryLog({ engine, historyDir, clock, disk: machineDisk }),
    featureLog: (folder) => ({
      ...openFeatureLog(engine, folder),
      train: (request) => trainFromLog(context, folder, request),
    }),
    train: (request) => train(context, request),
    rebuild: (path, output, running) => rebuild(context, path, output, running),
    verify: async (path) => {
      try {
        const findings = await differences(readManifest(path), context.paths);
        return { ok: findings.length === 0, findings };
      } catch (error) {
        return { ok: false, findings: [(error as Error).message] };
      }
    },
    snapshot: (request) => writeSnapshot(context, request),
    history: (request) => keyedHistory(context, request),
    deliveries: (request) => readDeliveries(context, request),
    estimate: (catalog, source) =>
      withConnection(engine, undefined, (connection) =>
        estimateSource(connection, sourceOf(catalog, source), context.paths),
      ),
    readEvents: (request) => readEventsFile(context, request),
    sample: (path, rows) => sampleTraining(context, path, rows),
    close: async () => engine.close(),
  };
}

async function train(
  context: TrainContext,
  asked: TrainingRequest,
  positions: BuildRequest['positions'] = null,
): Promise<TrainingResult> {
  const { output } = asked;
  const request = {
    ...asked,
    positions,
    labels: await kept(context, asked),
  };
  const trained = await buildTrainingSet(context, request);
  const path = manifestPath(output.path);
  await writeManifest(manifestOf(request, trained, context.paths.projectDir), path);
  return {
    rows: trained.rows,
    bytes: trained.bytes,
    path: output.path,
    manifestPath: path,
    scannedRows: trained.scannedRows,
    warnings: trained.warnings,
  };
}

/** Labels that only the caller holds are kept beside the output: the manifest must be able to build it again. */
async function kept(
  context: TrainContext,
  asked: TrainingRequest,
): Promise<BuildRequest['labels']> {
  const { labels, output, signal } = asked;
  if (labels.type === 'rows') return keepRows(context, labels.rows, asked, labelsPath(output.path));
  if (labels.type !== 'arrow') return labels;
  // Loaded only here: the library takes longer to load than most commands to run.
  const { keepArrow } = await import('./arrow_labels.ts');
  return keepArrow(context, labels.path, signal, labelsPath(output.path));
}

async function rebuild(
  context: TrainContext,
  path: string,
  output: string | null,
  running: Running = {},
): Promise<TrainingResult> {
  const manifest = readManifest(path);
  const request = { ...requestOf(manifest, output), ...running };
  const result = await train(context, request, positionsIn(manifest));
  const { sha256 } = readManifest(result.manifestPath).output;
  if (sha256 === manifest.output.sha256) return result;
  const warning = `the file differs from the one that ${path} describes; verify says what has changed`;
  return { ...result, warnings: [...result.warnings, warning] };
}
