/**
 * Configuration: `samewise.config.json` in the project's folder, overridden by the environment. Stores are named by URL;
 * a part that is not named is embedded and lies under `.samewise/`.
 */
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';
import { nearest, SamewiseError } from '../base/errors.ts';

export const CONFIG_FILE = 'samewise.config.json';

const ConfigSchema = Type.Object(
  {
    definitions: Type.String({ minLength: 1, default: 'features.ts' }),
    registry: Type.String({ default: 'sqlite:.samewise/registry.db' }),
    online: Type.String({ default: 'lmdb:.samewise/online' }),
    offline: Type.String({ default: 'file:.samewise/history' }),
  },
  { additionalProperties: false },
);

type Setting = keyof Static<typeof ConfigSchema>;
const SETTINGS = Object.keys(ConfigSchema.properties) as Setting[];
const FORM: Readonly<Record<Setting, string>> = {
  definitions: 'the TypeScript file that exports the definitions',
  registry: 'sqlite:<file>',
  online: 'lmdb:<folder>',
  offline: 'file:<folder of pushed history>',
};

/** Where a part lies: `kind` as in the URL's scheme, `path` absolute. */
export interface Place<Kind extends string> {
  readonly kind: Kind;
  readonly path: string;
}

export interface Config {
  /** Absolute; relative paths in definitions and requests start here. */
  readonly projectDir: string;
  /** The definitions' file, absolute. */
  readonly definitions: string;
  readonly registry: Place<'sqlite'>;
  readonly online: Place<'lmdb'>;
  readonly offline: Place<'file'>;
  /** What the project keeps that nobody edits. */
  readonly stateDir: string;
  /** For what does not fit into memory. */
  readonly tempDir: string;
  /** Who works here: SAMEWISE_AUTHOR, else the account. */
  readonly author: string;
}

/** The environment variable that overrides a setting: SAMEWISE_REGISTRY and so on. */
function variableOf(setting: Setting): string {
  return `SAMEWISE_${setting.toUpperCase()}`;
}

/**
 * Reads the configuration of the project in `projectDir`. Throws `app/no-project`, `app/bad-config` and `app/bad-url`.
 */
export function readConfig(
  projectDir: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Config {
  const project = resolve(projectDir);
  const settings = readFile(join(project, CONFIG_FILE));
  const get = (setting: Setting): string => environment[variableOf(setting)] ?? settings[setting];
  return {
    projectDir: project,
    definitions: resolve(project, get('definitions')),
    registry: place(project, 'registry', get('registry'), 'sqlite', settings, environment),
    online: place(project, 'online', get('online'), 'lmdb', settings, environment),
    offline: place(project, 'offline', get('offline'), 'file', settings, environment),
    stateDir: join(project, '.samewise'),
    tempDir: join(project, '.samewise', 'tmp'),
    author: environment.SAMEWISE_AUTHOR ?? account(),
  };
}

function readFile(file: string): Static<typeof ConfigSchema> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SamewiseError('app/no-project', `there is no ${CONFIG_FILE} here`, {
      where: { file },
      hint: 'run `samewise init` to make a project, or name its folder with --project',
      cause,
    });
  }
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch (cause) {
    throw new SamewiseError('app/bad-config', `it is not JSON: ${(cause as Error).message}`, {
      where: { file },
      hint: 'it holds one JSON object, such as { "definitions": "features.ts" }',
      cause,
    });
  }
  const settings = Value.Default(ConfigSchema, found);
  if (Value.Check(ConfigSchema, settings)) return settings;
  throw problemOf(file, settings);
}

function problemOf(file: string, found: unknown): SamewiseError {
  if (found === null || typeof found !== 'object' || Array.isArray(found))
    return new SamewiseError('app/bad-config', 'it is not a JSON object', { where: { file } });
  const unknown = Object.keys(found).find((name) => !SETTINGS.includes(name as Setting));
  if (unknown !== undefined) {
    const meant = nearest(unknown, SETTINGS);
    return new SamewiseError('app/bad-config', `there is no setting ${JSON.stringify(unknown)}`, {
      where: { file, field: unknown },
      hint: meant === undefined ? `settings: ${SETTINGS.join(', ')}` : `did you mean "${meant}"?`,
    });
  }
  const [error] = Value.Errors(ConfigSchema, found);
  const field = error?.instancePath.slice(1) ?? '';
  return new SamewiseError('app/bad-config', `${field} ${error?.message ?? 'is wrong'}`, {
    where: { file, field },
    hint: FORM[field as Setting] && `write it as ${FORM[field as Setting]}`,
  });
}

function place<Kind extends string>(
  project: string,
  setting: Setting,
  url: string,
  kind: Kind,
  settings: Static<typeof ConfigSchema>,
  environment: Readonly<Record<string, string | undefined>>,
): Place<Kind> {
  const path = url.startsWith(`${kind}:`) ? url.slice(kind.length + 1) : '';
  if (path !== '') return { kind, path: resolve(project, path) };
  const variable = variableOf(setting);
  const from = environment[variable] !== undefined && settings[setting] !== url;
  throw new SamewiseError(
    'app/bad-url',
    `${JSON.stringify(url)} does not name a place for the ${setting}`,
    {
      where: from ? { field: variable } : { file: join(project, CONFIG_FILE), field: setting },
      hint: `write it as ${FORM[setting]}`,
    },
  );
}

/** The account's name; a container may run under a number that has none. */
function account(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
