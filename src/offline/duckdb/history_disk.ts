/** What the history of streams does to the disk, one step a method, so that a test may stop it between any two. */
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { link, mkdir, mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { InstantUs } from '../../base/time.ts';

/** A file that is being read. */
export interface Held {
  readonly bytes: Uint8Array;
  /** Whether its path still leads to it: it was not removed, nor another one put in its place. */
  stillThere(): boolean;
  close(): void;
}

/** Errors are the platform's own, but for what is said here. */
export interface Disk {
  /** Makes a folder and those above it, if they are not there; durably. */
  folder(path: string): Promise<void>;
  /** A new, empty folder inside `folder`. */
  scratch(folder: string): Promise<string>;
  /** What a folder holds, in no order; nothing if it is not there. */
  names(path: string): Promise<string[]>;
  /** Null: there is no such file. */
  hold(path: string): Held | null;
  write(path: string, data: string): Promise<void>;
  /** Makes the content of a file, or the names in a folder, durable. */
  flush(path: string): Promise<void>;
  /** Gives a file a second name; false if that is taken. */
  link(from: string, to: string): Promise<boolean>;
  /** When a file or folder was last changed; null if it is not there. */
  changedUs(path: string): InstantUs | null;
  /** Removes a file or a folder with all that is in it, if it is there. */
  remove(path: string): Promise<void>;
}

/** The machine's disk. */
export const machineDisk: Disk = {
  folder: async (path) => {
    const first = await mkdir(path, { recursive: true });
    if (first === undefined) return;
    for (let made = path; ; made = dirname(made)) {
      await flush(dirname(made));
      if (made === first) return;
    }
  },
  scratch: (folder) => mkdtemp(join(folder, 'w-')),
  names: (path) => readdir(path).catch(absent<string[]>([])),
  hold: (path) => {
    let file: number;
    try {
      file = openSync(path, 'r');
    } catch (error) {
      return absent(null)(error);
    }
    const { ino, dev } = fstatSync(file);
    return {
      bytes: readFileSync(file),
      // While the file is open, no other can have its number.
      stillThere: () => {
        const now = statSync(path, { throwIfNoEntry: false });
        return now?.ino === ino && now.dev === dev;
      },
      close: () => closeSync(file),
    };
  },
  write: (path, data) => writeFile(path, data, { flag: 'wx' }),
  flush,
  link: (from, to) =>
    link(from, to).then(
      () => true,
      (error) => {
        if (error.code === 'EEXIST') return false;
        throw error;
      },
    ),
  changedUs: (path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat === undefined ? null : Math.floor(stat.mtimeMs * 1000);
  },
  remove: (path) => rm(path, { recursive: true, force: true }),
};

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function absent<T>(nothing: T): (error: unknown) => T {
  return (error) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return nothing;
    throw error;
  };
}
