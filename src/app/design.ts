/** `samewise design`: requirements into a document, a project whose definitions its numbers are computed from, and manifests. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { SamewiseError } from '../base/errors.ts';
import { predict } from '../capacity/index.ts';
import { documents, loadOf, readRequirements, starter } from '../design/index.ts';
import { CONFIG_FILE, readConfig } from './config.ts';
import { loadDefinitions } from './definitions.ts';

/** All files of a design by their paths. Throws `design/…` where requirements are wrong. */
export async function designFiles(
  text: string,
  file: string,
): Promise<Readonly<Record<string, string>>> {
  const requirements = readRequirements(text, file);
  const project = starter(requirements);
  const folder = mkdtempSync(join(tmpdir(), 'samewise-design-'));
  try {
    writeFiles(folder, project);
    const catalog = await loadDefinitions(readConfig(folder, {}));
    const capacity = predict(catalog, loadOf(requirements));
    const isBuilt = (setting: string, url: string) => takes(folder, setting, url);
    return {
      ...documents(requirements, catalog, capacity, isBuilt),
      ...Object.fromEntries(Object.entries(project).map(([path, own]) => [`project/${path}`, own])),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Whether the configuration knows such a place. */
function takes(folder: string, setting: string, url: string): boolean {
  writeFileSync(join(folder, CONFIG_FILE), JSON.stringify({ [setting]: url }));
  try {
    readConfig(folder, {});
    return true;
  } catch (error) {
    if (error instanceof SamewiseError && error.code === 'app/bad-url') return false;
    throw error;
  }
}

/** Writes files below a folder, with the folders that they lie in. */
export function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}
