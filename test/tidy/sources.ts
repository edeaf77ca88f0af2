/** What the tidy tests look at: the tracked files, and the sources with their imports. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { type Node, parse } from 'acorn';

export const ROOT = join(import.meta.dirname, '../..');

/** Every file that belongs to the project: tracked, or new and not ignored. Paths relative to the root. */
export const files: readonly string[] = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard'],
  { cwd: ROOT, encoding: 'utf8' },
)
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(ROOT, file)));

export interface SourceFile {
  /** Relative to `src/`, such as `offline/duckdb/index.ts`. */
  readonly path: string;
  readonly text: string;
  /** Type imports included: a relative one as a path relative to `src/`, any other as it is written. */
  readonly imports: readonly string[];
}

/** Every file under `src/`. */
export const sources: readonly SourceFile[] = files
  .filter((file) => file.startsWith('src/'))
  .map((file) => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    return { path: file.slice(4), text, imports: importsOf(file, text) };
  });

function importsOf(file: string, text: string): string[] {
  const found = [
    ...text.matchAll(/^(?:import|export)\b[^'"`;]*?\bfrom\s+'([^']+)'/gm),
    ...text.matchAll(/^import\s+'([^']+)'/gm),
    ...text.matchAll(/\bimport\(\s*'([^']+)'/g),
  ].map((match) => match[1]!);
  return found.map((name) =>
    name.startsWith('.')
      ? relative(join(ROOT, 'src'), join(ROOT, dirname(file), name)).replaceAll('\\', '/')
      : name,
  );
}

/** The file as a syntax tree (ESTree), its types taken away. */
export function syntaxOf(source: SourceFile): Node {
  return parse(stripTypeScriptTypes(source.text), {
    ecmaVersion: 'latest',
    sourceType: 'module',
    allowHashBang: true,
  });
}
