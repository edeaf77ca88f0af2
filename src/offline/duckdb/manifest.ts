/**
 * The manifest beside a training set: everything that it takes to build the same file again and to see what has changed since.
 * JSON, with a hash over itself. The same request over the same files gives the same manifest.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { version as duckdbVersion } from '@duckdb/node-api';
import { SamewiseError } from '../../base/errors.ts';
import { canonicalJson, sha256Hex } from '../../base/hash.ts';
import {
  type Catalog,
  catalogOf,
  type Definition,
  definitionFromJson,
  definitionToJson,
  dependenciesOf,
  findDefinition,
  type Member,
} from '../../model/index.ts';
import type { FileOutput, Knowledge, TrainingRequest } from '../contract.ts';
import { type FilePrint, fileDiffers, filePrint, sha256OfFile } from './fingerprints.ts';
import { type Positions, streamDiffers } from './history_scan.ts';
import type { Paths } from './scan.ts';
import type { Trained } from './train.ts';
import { samewiseVersion } from './version.ts';
import { writeWhole } from './write.ts';

export const MANIFEST_FORMAT = 'samewise-training-set';
export const MANIFEST_VERSION = 2;

/** Version 2 of the format. Version 1 had no positions: there was no history of streams. */
export interface Manifest {
  readonly format: typeof MANIFEST_FORMAT;
  readonly version: typeof MANIFEST_VERSION;
  readonly samewise: string;
  readonly duckdb: string;
  readonly service: TrainingRequest['service'];
  readonly members: readonly Member[];
  /** What the members need, each as `definitionToJson` writes it. */
  readonly definitions: readonly unknown[];
  readonly labels: {
    /** Rows that a caller held lie in a file beside the output. */
    readonly location: Exclude<TrainingRequest['labels'], { type: 'rows' | 'arrow' }>;
    readonly files: readonly FilePrint[];
    readonly timeColumn: string;
  };
  readonly through: boolean;
  readonly knowledge: Knowledge;
  readonly sources: Readonly<
    Record<
      string,
      {
        readonly files: readonly FilePrint[];
        readonly scannedRows: number;
        /** By partition of the source's stream: the digits of the last position that was read. */
        readonly positions: Readonly<Record<string, string>>;
      }
    >
  >;
  readonly output: FileOutput & {
    readonly rows: number;
    readonly bytes: number;
    readonly sha256: string;
  };
}

export function manifestPath(outputPath: string): string {
  return `${outputPath}.manifest.json`;
}

/** Where the labels of a caller's rows are kept. */
export function labelsPath(outputPath: string): string {
  return `${outputPath}.labels.parquet`;
}

/** The manifest of what was just built. */
export function manifestOf(
  request: TrainingRequest & { readonly labels: Manifest['labels']['location'] },
  trained: Trained,
  projectDir: string,
): Manifest {
  // Labels are often files of a source, too: each is read once.
  const printed = new Map<string, FilePrint>();
  const print = (file: string): FilePrint => {
    const found = printed.get(file) ?? filePrint(file, projectDir);
    printed.set(file, found);
    return found;
  };
  const prints = (files: readonly string[]): FilePrint[] => files.map(print);
  return {
    format: MANIFEST_FORMAT,
    version: MANIFEST_VERSION,
    samewise: samewiseVersion(),
    duckdb: duckdbVersion(),
    service: request.service,
    members: request.members,
    definitions: definitionsUsed(request.members, request.catalog).map((definition) =>
      JSON.parse(definitionToJson(definition)),
    ),
    labels: {
      location: request.labels,
      files: prints(trained.labelFiles),
      timeColumn: request.timeColumn,
    },
    through: request.through,
    knowledge: request.knowledge,
    sources: Object.fromEntries(
      // By name: they are read side by side, and the same training set has the same manifest.
      Object.entries(trained.sourceFiles)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([source, files]) => [
          source,
          {
            files: prints(files),
            scannedRows: trained.scannedRows[source] ?? 0,
            positions: Object.fromEntries(
              [...trained.positions.get(source)!].map(([name, at]) => [name, String(at)]),
            ),
          },
        ]),
    ),
    output: {
      ...request.output,
      rows: trained.rows,
      bytes: trained.bytes,
      sha256: sha256OfFile(request.output.path),
    },
  };
}

/** What the members need, and nothing else of the catalog. */
function definitionsUsed(members: readonly Member[], catalog: Catalog): Definition[] {
  const asked: Definition = {
    kind: 'featureService',
    name: 'asked',
    description: '',
    owner: '',
    tags: {},
    model: null,
    members,
  };
  return dependenciesOf(asked, catalog).map(
    ({ kind, name }) => findDefinition(catalog, kind, name)!,
  );
}

export async function writeManifest(manifest: Manifest, path: string): Promise<void> {
  const hash = sha256Hex(canonicalJson(manifest));
  await writeWhole(path, async (partial) =>
    writeFileSync(partial, `${JSON.stringify({ ...manifest, sha256: hash }, null, 2)}\n`),
  );
}

/** Reads a manifest; `offline/bad-manifest` if it is not there, not ours, changed or of another version. */
export function readManifest(path: string): Manifest {
  const bad = (why: string, hint?: string): SamewiseError =>
    new SamewiseError('offline/bad-manifest', `${path}: ${why}`, { where: { file: path }, hint });
  if (!existsSync(path)) throw bad('there is no such manifest', 'it lies beside the training set');
  let value: Omit<Manifest, 'version'> & { version: number; sha256?: unknown };
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw bad('the manifest is damaged: it is not JSON');
  }
  if (value?.format !== MANIFEST_FORMAT) throw bad('this is not the manifest of a training set');
  if (value.version !== 1 && value.version !== MANIFEST_VERSION)
    throw bad(
      `the manifest has version ${value.version}; this Samewise reads versions 1 and ${MANIFEST_VERSION}`,
    );
  const { sha256, ...manifest } = value;
  if (sha256 !== sha256Hex(canonicalJson(manifest)))
    throw bad('the manifest is damaged: its content does not match its hash');
  const sources = Object.fromEntries(
    Object.entries(manifest.sources).map(([source, read]) => [
      source,
      { ...read, positions: read.positions ?? {} },
    ]),
  );
  return { ...manifest, version: MANIFEST_VERSION, sources };
}

/** By source, how far the history of its stream was read. */
export function positionsIn({ sources }: Manifest): Map<string, Positions> {
  return new Map(
    Object.entries(sources).map(([source, { positions }]) => [
      source,
      new Map(Object.entries(positions).map(([name, digits]) => [name, BigInt(digits)])),
    ]),
  );
}

/** The request that a manifest answers. */
export function requestOf(manifest: Manifest, output: string | null): TrainingRequest {
  const { format, path } = manifest.output;
  return {
    catalog: catalogOf(
      manifest.definitions.map((definition) => definitionFromJson(JSON.stringify(definition))),
    ),
    service: manifest.service,
    members: manifest.members,
    labels: manifest.labels.location,
    timeColumn: manifest.labels.timeColumn,
    through: manifest.through,
    knowledge: manifest.knowledge,
    output: { format, path: output ?? path },
  };
}

/** What is not as the manifest says, in words. */
export async function differences(
  manifest: Manifest,
  { projectDir, historyDir }: Paths,
): Promise<string[]> {
  const found: string[] = [];
  const { output } = manifest;
  if (!existsSync(output.path)) found.push(`the training set ${output.path} is gone`);
  else if (sha256OfFile(output.path) !== output.sha256)
    found.push(`the training set ${output.path} was changed`);
  for (const print of manifest.labels.files) {
    const differs = fileDiffers(print, projectDir);
    if (differs !== null) found.push(`labels: ${differs}`);
  }
  for (const [source, { files }] of Object.entries(manifest.sources))
    for (const print of files) {
      const differs = fileDiffers(print, projectDir);
      if (differs !== null) found.push(`source ${source}: ${differs}`);
    }
  for (const [source, positions] of positionsIn(manifest))
    for (const difference of await streamDiffers(source, historyDir, positions))
      found.push(`source ${source}: ${difference}`);
  if (manifest.duckdb !== duckdbVersion())
    found.push(
      `it was written by DuckDB ${manifest.duckdb}, this is ${duckdbVersion()}: a rebuild has the same values, perhaps not the same bytes`,
    );
  return found;
}
