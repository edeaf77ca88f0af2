/**
 * Training sets for whoever sends labels, whatever the protocol. Labels go into a file as they come and the answer comes out of
 * one, so that neither is ever in memory as a whole. What stays of a training set is its manifest with the labels, from which
 * `samewise rebuild` makes it again.
 */
import { createWriteStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import { canonicalJson, sha256Hex } from '../base/hash.ts';
import type { Knowledge, LabelSource, OfflineStore } from '../offline/contract.ts';
import type { Definitions } from './definitions.ts';
import { Claim, claimedProgress, isMade, tidyTrainings, trainingPath } from './training_files.ts';

/** Training sets that are made at the same time. */
const MAX_AT_ONCE = 4;
/** Bytes of labels: what a disk can hold beside all else. */
const MAX_LABEL_BYTES: number = 8 * 2 ** 30;
/** How often what is old, and what killed processes left, is looked for. */
const TIDY_MS = 3_600_000;

/** What labels may come as. */
export const LABEL_TYPES: Readonly<Record<string, Exclude<LabelSource['type'], 'query' | 'rows'>>> =
  {
    'application/vnd.apache.arrow.stream': 'arrow',
    'application/vnd.apache.arrow.file': 'arrow',
    'application/vnd.apache.parquet': 'parquet',
    'text/csv': 'csv',
    'application/x-ndjson': 'json',
  };

/** What a training set is asked for; the same words mean the same as on the command line. */
export interface TrainingAsked {
  /** Under which its progress can be asked for, and its files are kept; null: one is made. */
  readonly id: string | null;
  /** `name` or `name@version`; null: `features`. */
  readonly service: string | null;
  /** `view:feature`, separated by commas; null: `service`. */
  readonly features: string | null;
  /** Features of a list are called `view__feature`. */
  readonly fullNames: boolean;
  readonly timeColumn: string;
  readonly through: boolean;
  readonly knowledge: Knowledge;
  /** One of `LABEL_TYPES`. */
  readonly contentType: string;
}

/** A training set that is ready to be sent. */
export interface TrainingSet {
  readonly id: string;
  readonly rows: number;
  /** Columns that are features: the last ones. */
  readonly features: number;
  /** File name of the manifest in the server's output folder. */
  readonly manifest: string;
  readonly warnings: readonly string[];
  /** Bytes of `stream`. */
  readonly bytes: number;
  /** An Arrow IPC stream. It must be read or destroyed. */
  readonly stream: Readable;
}

/** How far a training set is. */
export interface TrainingProgress {
  /** `receive`, then as the offline store says: `labels`, `scan <source>`, `join <view>`, `write`. */
  readonly phase: string;
  /** Done in this phase: rows, and bytes while labels are received. */
  readonly done: number;
  /** Of how many, where it is known. */
  readonly total: number | null;
}

interface TrainingParts {
  readonly clock: Clock;
  readonly definitions: Definitions;
  readonly offline: OfflineStore;
  /** Exists. */
  readonly outputDir: string;
}

export class Trainings {
  readonly #parts: TrainingParts;
  readonly #running = new Map<string, TrainingProgress>();
  #begun = 0;
  #tidiedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: TrainingParts) {
    this.#parts = parts;
  }

  /**
   * Receives labels and builds their training set; stops when `signal` aborts. Throws `serving/overloaded`, `serving/name-taken`,
   * `serving/body-too-large`, what choosing features throws, and what the offline store says of the labels.
   */
  async build(
    asked: TrainingAsked,
    labels: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<TrainingSet> {
    const id = asked.id ?? this.#freshId(asked);
    const path = trainingPath(this.#parts.outputDir, id);
    if (this.#running.has(id) || isMade(path)) throw nameTaken(id);
    if (this.#running.size >= MAX_AT_ONCE) {
      throw new SamewiseError(
        'serving/overloaded',
        `${MAX_AT_ONCE} training sets are being made already`,
        { hint: 'try again when one of them is done' },
      );
    }
    const begun: TrainingProgress = { phase: 'receive', done: 0, total: null };
    this.#running.set(id, begun);
    try {
      await this.#tidy();
      // Other processes of the server make training sets in the same folder.
      const claim = await Claim.make(path, begun);
      if (claim === null) throw nameTaken(id);
      const received = `${path}.labels.${LABEL_TYPES[asked.contentType]!}`;
      try {
        if (isMade(path)) throw nameTaken(id);
        return await this.#build(asked, labels, signal, { id, path, received, claim }).catch(
          async (error) => {
            // What is left of a failure nobody can use.
            for (const file of [path, manifestOf(path), received, `${path}.labels.parquet`])
              await rm(file, { force: true });
            throw error;
          },
        );
      } finally {
        await claim.release();
      }
    } finally {
      this.#running.delete(id);
    }
  }

  /** Of one that any process over the same folder makes. Throws `serving/unknown-training` also for one that is done. */
  async progress(id: string): Promise<TrainingProgress> {
    return this.#running.get(id) ?? claimedProgress(this.#parts.outputDir, id);
  }

  /** Now and then; what cannot be removed now is tried again. */
  async #tidy(): Promise<void> {
    const { clock, outputDir } = this.#parts;
    if (clock.monotonicMs() - this.#tidiedMs < TIDY_MS) return;
    this.#tidiedMs = clock.monotonicMs();
    await tidyTrainings(outputDir, clock.nowUs() / 1000).catch(() => {});
  }

  #freshId(asked: TrainingAsked): string {
    const { clock } = this.#parts;
    return sha256Hex(canonicalJson([asked, clock.nowUs(), this.#begun++])).slice(0, 24);
  }

  async #build(
    asked: TrainingAsked,
    labels: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
    { id, path, received, claim }: { id: string; path: string; received: string; claim: Claim },
  ): Promise<TrainingSet> {
    const revision = await this.#parts.definitions.newest();
    const { catalog, members, service, columns } =
      asked.service !== null
        ? revision.service(asked.service)
        : revision.list(asked.features ?? '', asked.fullNames);
    const told = (phase: string, done: number, total: number | null) => {
      this.#running.set(id, { phase, done, total });
      claim.tell({ phase, done, total }, this.#parts.clock.monotonicMs());
    };
    await receive(labels, received, signal, (bytes) => told('receive', bytes, null));
    const type = LABEL_TYPES[asked.contentType]!;
    const result = await this.#parts.offline.train({
      catalog,
      members,
      service,
      labels:
        type === 'arrow'
          ? { type, path: received }
          : { type, path: received, hivePartitioned: false },
      timeColumn: asked.timeColumn,
      through: asked.through,
      knowledge: asked.knowledge,
      output: { format: 'arrow', path },
      onProgress: ({ phase, rows, totalRows }) => told(phase, rows, totalRows),
      signal,
    });
    // The offline store keeps it as Parquet.
    if (type === 'arrow') await rm(received);
    const { rows, warnings } = result;
    const features = columns.outputs.length;
    const manifest = basename(result.manifestPath);
    return { id, rows, features, warnings, manifest, ...(await sent(path)) };
  }
}

function nameTaken(id: string): SamewiseError {
  return new SamewiseError('serving/name-taken', `there is a training set ${id} already`, {
    where: { field: 'id' },
  });
}

function manifestOf(path: string): string {
  return `${path}.manifest.json`;
}

async function receive(
  labels: AsyncIterable<Uint8Array>,
  path: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<void> {
  let bytes = 0;
  const counted = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > MAX_LABEL_BYTES) {
        throw new SamewiseError('serving/body-too-large', 'these are more labels than are taken', {
          hint: `send at most ${MAX_LABEL_BYTES / 2 ** 30} GiB at once`,
        });
      }
      onBytes(bytes);
      yield chunk;
    }
  };
  try {
    await pipeline(labels, counted, createWriteStream(path), { signal });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (signal.aborted || code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE')
      throw new SamewiseError('serving/bad-request', 'the labels ended before they were whole', {
        cause,
      });
    throw cause;
  }
}

/** Between eight bytes and its footer an Arrow file is a stream. The file goes away with the last that is read of it. */
async function sent(path: string): Promise<Pick<TrainingSet, 'bytes' | 'stream'>> {
  const file = await open(path);
  try {
    await rm(path);
    const { size } = await file.stat();
    const tail = Buffer.alloc(4);
    await file.read(tail, 0, 4, size - 10);
    const end = size - 10 - tail.readInt32LE(0);
    return { bytes: end - 8, stream: file.createReadStream({ start: 8, end: end - 1 }) };
  } catch (error) {
    await file.close();
    throw error;
  }
}
