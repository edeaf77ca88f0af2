/**
 * An LMDB environment as everything embedded uses it: any number of processes and threads open it at once, a commit is on
 * disk when it returns, and what fails is a coded error. Not an adapter itself: the embedded event log stands on it as well.
 *
 * Transactions are synchronous; the callbacks of lmdb-js 3.5.6's asynchronous ones were seen never to run.
 */
import { ABORT, open, type RootDatabase } from 'lmdb';
import { damaged, type LmdbPlace, lmdbFailure } from './lmdb_errors.ts';
import { checkDataFile } from './lmdb_file.ts';

/** After so many transactions of this process the room is taken back that processes held which were killed while they read. */
const CHECK_READERS = 100;

export class LmdbEnvironment {
  readonly place: LmdbPlace;
  readonly root: RootDatabase;
  #transactions = 0;

  /** Opens the environment in the folder `place.path`, or makes it. Throws `<area>/damaged`, `full` and `unavailable`. */
  constructor(place: LmdbPlace, maxDbs: number) {
    this.place = place;
    this.root = this.guard(() => {
      checkDataFile(place);
      return open({
        path: place.path,
        noSubdir: false,
        maxDbs,
        // A commit returns when it is on disk.
        overlappingSync: false,
      });
    });
  }

  /** Runs `body` in a transaction that is on disk at the end; `false` or an error from it leaves everything as it was. */
  transaction(body: () => unknown): void {
    this.guard(() =>
      this.root.transactionSync(() => (body() === false ? (ABORT as unknown) : undefined)),
    );
    // What was read before is of an older state.
    this.root.resetReadTxn();
    // Else nothing that was there at their last read could be overwritten, and the file would grow with every write.
    if (++this.#transactions % CHECK_READERS === 0) this.guard(() => this.root.readerCheck());
  }

  /** Runs `body`; what LMDB throws becomes a coded error. */
  guard<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      throw lmdbFailure(error, this.place);
    }
  }

  /** Keeps `format` as the name of the layout of keys and values; throws `<area>/damaged` where there is another one. */
  checkFormat(
    format: string,
    read: () => Uint8Array | undefined,
    put: (bytes: Uint8Array) => void,
  ): void {
    const found = this.guard(read);
    if (found === undefined) {
      this.transaction(() => put(new TextEncoder().encode(format)));
      return;
    }
    const text = new TextDecoder().decode(found);
    if (text === format) return;
    throw damaged(
      this.place,
      `its format is ${JSON.stringify(text)}; this version reads ${JSON.stringify(format)}`,
    );
  }

  async close(): Promise<void> {
    await this.root.close();
  }
}
