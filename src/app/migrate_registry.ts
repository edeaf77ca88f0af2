/** From one registry to another: a project that outgrows its file. */
import { existsSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { SamewiseError } from '../base/errors.ts';
import type { Registry } from '../registry/contract.ts';
import { openRegistry } from './open.ts';
import { parseRegistryPlace, REGISTRY_FORM, type RegistryPlace } from './registry_place.ts';

export interface Migrated {
  readonly revisions: number;
  readonly objects: number;
  readonly jobs: number;
  /** False: the target held all of it already. */
  readonly moved: boolean;
}

/**
 * Copies everything that one registry knows into an empty one, all of it or nothing; a target that has it already is left as it is.
 * Throws `app/bad-url`, `app/no-registry`, and `registry/not-empty` where the target holds something else.
 */
export async function migrateRegistry(
  projectDir: string,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<Migrated> {
  const place = placeOf(projectDir, from, '--from');
  if (place.kind === 'sqlite' && !existsSync(place.path)) {
    throw new SamewiseError('app/no-registry', `there is no registry ${place.path}`, {
      where: { file: place.path },
      hint: 'name the file that the project uses',
    });
  }
  const source = await openRegistry({ registry: place });
  try {
    const target = await openRegistry({ registry: placeOf(projectDir, to, '--to') });
    try {
      return await copy(source, target);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function copy(source: Registry, target: Registry): Promise<Migrated> {
  const everything = await source.everything();
  const { revisions, objects, jobs } = everything;
  const moved = !isDeepStrictEqual(await target.everything(), everything);
  if (moved) await target.takeOver(everything);
  return {
    revisions: revisions.length,
    objects: objects.length,
    jobs: jobs.length,
    moved,
  };
}

function placeOf(projectDir: string, url: string, field: string): RegistryPlace {
  const place = parseRegistryPlace(projectDir, url);
  if (place !== null) return place;
  throw new SamewiseError('app/bad-url', `${field} does not name a registry`, {
    where: { field },
    hint: `write it as ${REGISTRY_FORM}`,
  });
}
