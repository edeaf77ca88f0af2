/** The offline store on DuckDB. */
import type { Clock } from '../../base/clock.ts';
import type { OfflineStore } from '../contract.ts';
import { openEngine } from './engine.ts';
import { Feeds } from './feed.ts';
import { keyedHistory } from './history.ts';
import { buildTrainingSet } from './train.ts';

export interface DuckdbStoreOptions {
  /** Where pushed events are kept: `<historyDir>/<source>/*.parquet`. */
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
}

/** Opens the offline store. Close it to give back memory and temporary files. */
export async function openDuckdbStore(options: DuckdbStoreOptions): Promise<OfflineStore> {
  const { projectDir, historyDir } = options;
  const engine = await openEngine({
    tempDir: options.tempDir,
    projectDir,
    threads: options.threads ?? null,
    memoryLimit: options.memoryLimit ?? '1GB',
  });
  const context = { engine, feeds: new Feeds(), paths: { projectDir, historyDir } };
  return {
    train: async (request) => {
      const trained = await buildTrainingSet(context, request);
      return {
        rows: trained.rows,
        bytes: trained.bytes,
        path: request.output.path,
        manifestPath: `${request.output.path}.manifest.json`,
        scannedRows: trained.scannedRows,
        warnings: trained.warnings,
      };
    },
    history: (request) => keyedHistory(context, request),
    close: async () => engine.close(),
  } as unknown as OfflineStore;
}
