/** Pushing a file: Parquet, CSV or JSON lines, read by the offline store's own reader, so that types mean the same. */
import { resolve } from 'node:path';
import { SamewiseError } from '../base/errors.ts';
import { FILE_ENDINGS, fileTypeOf, type Source } from '../model/index.ts';
import type { OfflineStore } from '../offline/contract.ts';
import type { RecordPlace } from '../stream/contract.ts';
import { OP_FIELD } from '../stream/decode/index.ts';
import { MAX_PUSH_ROWS, type PushResult, type PushState, push } from './push.ts';
import type { Streaming } from './streaming.ts';
import { applyHere } from './streams.ts';

/**
 * Pushes the rows of a file. Columns that the source does not declare are ignored; `__op` is read where the file has it.
 * Throws as `push`, `app/unknown-file-type`, and the `offline/…` errors with file, row and column.
 */
export async function pushFile(
  app: Streaming & { readonly offline: OfflineStore },
  request: { readonly source: string; readonly path: string; readonly wait: PushState },
): Promise<PushResult> {
  const { source: sourceName, wait } = request;
  const applied = (source: Source, places: readonly RecordPlace[]) =>
    applyHere(app, source, places);
  const source = await app.registry.get('source', sourceName);
  // An unknown source is refused there, with what was meant.
  if (source === undefined) return push(app, { source: sourceName, rows: [], wait }, applied);
  const path = resolve(request.path);
  const type = fileTypeOf(path);
  if (type === undefined) {
    throw new SamewiseError('app/unknown-file-type', 'the file’s ending does not say its type', {
      where: { file: path },
      hint: `name it with one of ${FILE_ENDINGS.join(', ')}`,
    });
  }
  const rows = await app.offline.readEvents({
    source: source.definition as Source,
    location: { type, path, hivePartitioned: false },
    opColumn: OP_FIELD,
    limit: MAX_PUSH_ROWS + 1,
  });
  try {
    return await push(app, { source: sourceName, rows, wait }, applied);
  } catch (error) {
    throw error instanceof SamewiseError && error.where.row !== undefined
      ? error.at({ file: path })
      : error;
  }
}
