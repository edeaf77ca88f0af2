/** Which registry a project uses, by URL. */
import { resolve } from 'node:path';

/** Where definitions are kept. `url` may hold a password: print places with `printRegistryPlace`. */
export type RegistryPlace =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: string };

/** How the URL is written. */
export const REGISTRY_FORM =
  'sqlite:<file>, postgres://<user>@<host>:<port>/<database>?sslmode=verify-full, or postgres: with PGHOST, PGUSER, PGPASSWORD and so on';

/** The place that a URL names; null if it names none. Paths are relative to the project. */
export function parseRegistryPlace(projectDir: string, url: string): RegistryPlace | null {
  const [, path] = /^sqlite:(.+)$/.exec(url) ?? [];
  if (path !== undefined) return { kind: 'sqlite', path: resolve(projectDir, path) };
  return /^postgres(ql)?:(\/\/\S*)?$/.test(url) ? { kind: 'postgres', url } : null;
}

/** As people are told of it: without a password. */
export function printRegistryPlace(place: RegistryPlace): string {
  if (place.kind === 'sqlite') return place.path;
  return place.url
    .replace(/\/\/[^@/]*:[^@]*@/, (userInfo) => userInfo.replace(/:[^@]*@/, '@'))
    .replace(/([?&]password=)[^&]*/, '$1***');
}
