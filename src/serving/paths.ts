/** Which files a request may name: those under the configured data roots, and no others. */
import { isAbsolute, join, resolve, sep } from 'node:path';
import { SamewiseError } from '../base/errors.ts';
import type { BatchLocation } from '../model/definitions.ts';
import type { FileType } from '../model/file_type.ts';
import { FILE_ENDINGS, fileTypeOf } from '../model/index.ts';

export interface DataRoots {
  /** Folders (absolute paths) and URL prefixes under which label files may lie; relative paths start at the first folder. */
  readonly roots: readonly string[];
  /** The path with all symbolic links followed; rejects when there is nothing. */
  readonly realPath: (path: string) => Promise<string>;
}

/**
 * Where labels lie, from a path or URL of a request. Throws `serving/forbidden-path` for what is not under a root (also by
 * `..` or a symbolic link), `serving/no-such-file` and `serving/unknown-format`.
 */
export async function labelsAt(
  text: string,
  { roots, realPath }: DataRoots,
): Promise<BatchLocation> {
  const path = isUrl(text) ? urlUnder(text, roots) : await fileUnder(text, roots, realPath);
  return { type: formatOf(path), path, hivePartitioned: false };
}

function isUrl(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]*:/.test(text) && !isAbsolute(text);
}

function urlUnder(text: string, roots: readonly string[]): string {
  // Normalising first takes `..` and its percent-encoded forms away.
  const url = URL.canParse(text) ? new URL(text) : null;
  const href = url === null || url.username !== '' || url.password !== '' ? null : url.href;
  const allowed = roots.some((root) => {
    if (href === null || !isUrl(root)) return false;
    const prefix = new URL(root).href;
    return href.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
  });
  if (!allowed) throw forbidden(text);
  return href!;
}

async function fileUnder(
  text: string,
  roots: readonly string[],
  realPath: DataRoots['realPath'],
): Promise<string> {
  const folders = roots.filter((root) => !isUrl(root));
  if (folders.length === 0 || text.includes('\0')) throw forbidden(text);
  const path = resolve(folders[0]!, text);
  if (!folders.some((folder) => lies(path, folder))) throw forbidden(text);
  // Of a glob, what is certain is the folder before the first wildcard; links that it meets are up to who owns the root.
  const wildcard = path.search(/[*?[{]/);
  const certain = wildcard < 0 ? path : path.slice(0, path.lastIndexOf(sep, wildcard) || 1);
  let real: string;
  try {
    real = await realPath(certain);
  } catch {
    throw new SamewiseError('serving/no-such-file', `there is nothing at ${JSON.stringify(text)}`, {
      where: { field: 'entity_df' },
    });
  }
  const realFolders = await Promise.all(
    folders.map((folder) => realPath(folder).catch(() => folder)),
  );
  if (!realFolders.some((folder) => lies(real, folder))) throw forbidden(text);
  return wildcard < 0 ? real : join(real, path.slice(certain.length));
}

function lies(path: string, folder: string): boolean {
  const clean = resolve(folder);
  return path === clean || path.startsWith(clean.endsWith(sep) ? clean : clean + sep);
}

function formatOf(path: string): FileType {
  const type = fileTypeOf(path);
  if (type !== undefined) return type;
  throw new SamewiseError('serving/unknown-format', `cannot tell the format of ${path}`, {
    where: { field: 'entity_df' },
    hint: `use a file that ends in ${FILE_ENDINGS.join(', ')}`,
  });
}

function forbidden(text: string): SamewiseError {
  return new SamewiseError(
    'serving/forbidden-path',
    `${JSON.stringify(text)} is not under a folder that the server may read`,
    {
      where: { field: 'entity_df' },
      hint: 'move the file there, or add its folder to the data roots',
    },
  );
}
