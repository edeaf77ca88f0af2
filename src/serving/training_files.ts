/**
 * The files of training sets that are made for clients, in a folder that all processes of a server share. A claim says that a process is at
 * one and how far it is; it is touched while that goes on, so that what a killed process has left is told from what is being made.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SamewiseError } from '../base/errors.ts';
import type { TrainingProgress } from './training.ts';

/** How often a claim is touched, and at most rewritten. */
const TOUCH_MS = 5_000;
const TELL_MS = 200;
/** A claim that was not touched for so long is of a process that is no more. */
const ABANDONED_MS = 15 * 60_000;
/** How long a manifest and its labels are kept. */
const KEEP_MS = 90 * 86_400_000;

const NAME = /^training-([A-Za-z0-9_-]+)\.arrow(.*)$/;
const CLAIM = '.claim';
const MANIFEST = '.manifest.json';

/** Where the training set of an id is made; its other files are named after it. */
export function trainingPath(outputDir: string, id: string): string {
  return join(outputDir, `training-${id}.arrow`);
}

/** Whether there is a training set of this id already. */
export function isMade(path: string): boolean {
  return existsSync(path + MANIFEST);
}

/** That a process makes the training set at a path. */
export class Claim {
  readonly #path: string;
  readonly #timer: NodeJS.Timeout;
  #progress: TrainingProgress;
  #writing: Promise<void> = Promise.resolve();
  #told = Number.NEGATIVE_INFINITY;

  private constructor(path: string, progress: TrainingProgress) {
    this.#path = path;
    this.#progress = progress;
    this.#timer = setInterval(() => this.#write(), TOUCH_MS);
    this.#timer.unref();
  }

  /** Only one process has an id: others are given null. */
  static async make(path: string, progress: TrainingProgress): Promise<Claim | null> {
    try {
      await writeFile(path + CLAIM, JSON.stringify(progress), { flag: 'wx' });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return null;
      throw cause;
    }
    return new Claim(path + CLAIM, progress);
  }

  /** Lets other processes know, not oftener than somebody looks. */
  tell(progress: TrainingProgress, nowMs: number): void {
    this.#progress = progress;
    if (nowMs - this.#told < TELL_MS) return;
    this.#told = nowMs;
    this.#write();
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await rm(this.#path, { force: true });
  }

  /** One after the other; what cannot be told is no reason to stop. */
  #write(): void {
    const next = `${this.#path}.next`;
    this.#writing = this.#writing
      .then(async () => {
        await writeFile(next, JSON.stringify(this.#progress));
        await rename(next, this.#path);
      })
      .catch(() => {});
  }
}

/** How far the process is that has the claim. Throws `serving/unknown-training` if there is none. */
export async function claimedProgress(outputDir: string, id: string): Promise<TrainingProgress> {
  try {
    return JSON.parse(await readFile(trainingPath(outputDir, id) + CLAIM, 'utf8'));
  } catch (cause) {
    throw new SamewiseError('serving/unknown-training', `no training set ${id} is being made`, {
      cause,
    });
  }
}

/** Removes what processes left that were killed, and training sets that are older than is kept. */
export async function tidyTrainings(outputDir: string, nowMs: number): Promise<void> {
  const files = (await readdir(outputDir)).flatMap((name) => {
    const [, id, kind] = NAME.exec(name) ?? [];
    return id === undefined ? [] : [{ name, id, kind: kind! }];
  });
  const ages = new Map<string, number>();
  await Promise.all(
    files.map(async ({ name }) => {
      // What is gone meanwhile somebody else has removed.
      const found = await stat(join(outputDir, name)).catch(() => null);
      ages.set(name, found === null ? 0 : nowMs - found.mtimeMs);
    }),
  );
  for (const own of Map.groupBy(files, ({ id }) => id).values()) {
    const youngest = Math.min(...own.map(({ name }) => ages.get(name)!));
    const has = (kind: string) => own.some((file) => file.kind === kind);
    const isWhole = has(MANIFEST) && !has(CLAIM);
    if (youngest < (isWhole ? KEEP_MS : ABANDONED_MS)) continue;
    // The claim last: if this is cut off, it is done again.
    const inTurn = own.toSorted((a, b) => Number(a.kind === CLAIM) - Number(b.kind === CLAIM));
    for (const { name } of inTurn) await rm(join(outputDir, name), { force: true });
  }
}
