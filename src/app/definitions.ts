/** Loads a project's definitions: its TypeScript file is imported as it is, and errors say the line, not a stack. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { basename, dirname, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { SamewiseError } from '../base/errors.ts';
import { collect } from '../dsl/index.ts';
import { type Catalog, catalogOf, validateCatalog } from '../model/index.ts';
import type { Config } from './config.ts';

// 'samewise' in a project means the copy that runs, whether or not it is installed there too.
const OWN = import.meta.filename;
const DSL = pathToFileURL(
  `${dirname(dirname(OWN))}/dsl/index${OWN.endsWith('.ts') ? '.ts' : '.js'}`,
).href;
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'samewise' ? { url: DSL, shortCircuit: true } : next(specifier, context),
});

/**
 * The catalog of all that the project's definitions file exports and what that needs, validated.
 * Throws `app/no-definitions`, `app/definitions-failed`, and the `dsl/…` and `model/…` errors with file and line.
 */
export async function loadDefinitions({ definitions: file }: Config): Promise<Catalog> {
  if (!existsSync(file)) {
    throw new SamewiseError('app/no-definitions', `${basename(file)} does not exist`, {
      where: { file },
      hint: 'name the file under "definitions" in samewise.config.json',
    });
  }
  const limit = Error.stackTraceLimit;
  let exported: object;
  try {
    // The line of the project may lie below many of ours.
    Error.stackTraceLimit = 50;
    // The query makes a changed file a new module for a process that goes on.
    exported = await import(`${pathToFileURL(file).href}?${statSync(file).mtimeMs}`);
  } catch (error) {
    throw failure(error, file);
  } finally {
    Error.stackTraceLimit = limit;
  }
  const definitions = collect(exported);
  if (definitions.length === 0) {
    throw new SamewiseError('app/no-definitions', `${basename(file)} exports no definitions`, {
      where: { file },
      hint: 'export what entity(), source(), featureView(), onDemandView() and featureService() return: `export const customer = entity({ … })`',
    });
  }
  try {
    const catalog = catalogOf(definitions);
    validateCatalog(catalog);
    return catalog;
  } catch (error) {
    throw error instanceof SamewiseError ? error.at({ file, line: lineOf(error, file) }) : error;
  }
}

/** What went wrong while the file ran or was read, with the line of the project that it is about. */
function failure(error: unknown, file: string): unknown {
  const where = placeOf(error, file);
  if (error instanceof SamewiseError) return error.at(where);
  const { name, message, code } = error as { name?: string; message?: string; code?: string };
  const what = String(message ?? error).split('\n')[0]!;
  if (code === 'ERR_MODULE_NOT_FOUND') {
    return new SamewiseError('app/definitions-failed', what.replace(/ imported from .*/, ''), {
      where,
      hint: 'check the path of the import; TypeScript files are imported with their ending: ./columns.ts',
      cause: error,
    });
  }
  const kind = name === undefined || name === 'Error' ? '' : `${name}: `;
  return new SamewiseError('app/definitions-failed', `${kind}${what}`, {
    where,
    hint: /UNSUPPORTED_TYPESCRIPT/.test(code ?? '')
      ? 'only TypeScript that can be erased is understood: no enums, namespaces or parameter properties'
      : 'correct that line, and run `samewise plan` again',
    cause: error,
  });
}

/** The innermost line of the stack that lies in the project; the file alone where there is none. */
function placeOf(error: unknown, file: string): { file: string; line?: number } {
  const stack = String((error as Error).stack ?? '');
  const project = dirname(file) + sep;
  const places = /(file:\/\/[^\s)?]+?|^\/[^\n:?]+)(?:\?[\d.]*)?:(\d+)/gm;
  for (const [, found, line] of stack.matchAll(places)) {
    const path = found!.startsWith('file:') ? fileURLToPath(found!) : found!;
    if (path.startsWith(project) && !path.slice(project.length).includes('node_modules'))
      return { file: path, line: Number(line) };
  }
  return { file };
}

/** The line on which what the error names begins, if the file says its name; a feature is looked for within its view. */
function lineOf({ where }: SamewiseError, file: string): number | undefined {
  const { entity, source, view, service, feature } = where;
  const name = view ?? source ?? service ?? entity;
  if (name === undefined) return undefined;
  const text = readFileSync(file, 'utf8');
  const quoted = [`'${name}'`, `"${name}"`, `\`${name}\``];
  const starts = quoted.map((q) => text.search(new RegExp(`\\bname:\\s*${RegExp.escape(q)}`)));
  const start = starts.find((at) => at >= 0);
  if (start === undefined) return undefined;
  const within =
    feature === undefined
      ? -1
      : text.slice(start).search(new RegExp(`\\b${RegExp.escape(feature)}\\s*:`));
  return text.slice(0, start + Math.max(within, 0)).split('\n').length;
}
