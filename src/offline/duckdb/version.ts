import { readFileSync } from 'node:fs';

/** The version in package.json, beside both src/ and dist/. */
export function samewiseVersion(): string {
  const path = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
