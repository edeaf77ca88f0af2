/**
 * Configuration: `samewise.config.json` in the project's folder, overridden by the environment. Stores are named by URL;
 * a part that is not named is embedded and lies under `.samewise/`.
 */
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { parseDuration } from '../base/duration.ts';
import { nearest, SamewiseError } from '../base/errors.ts';
import {
  FEATURE_LOG_FORM,
  type FeatureLogPlace,
  parseFeatureLogPlace,
} from './feature_log_place.ts';
import { ONLINE_FORM, type OnlinePlace, parseOnlinePlace } from './online_place.ts';
import { parseRegistryPlace, REGISTRY_FORM, type RegistryPlace } from './registry_place.ts';
import { parseStreamPlace, STREAM_FORM, type StreamPlace } from './stream_place.ts';

export const CONFIG_FILE = 'samewise.config.json';

/** What may be set, and what holds where it is not. */
const DEFAULTS = {
  definitions: 'features.ts',
  registry: 'sqlite:.samewise/registry.db',
  online: 'lmdb:.samewise/online',
  offline: 'file:.samewise/history',
  stream: 'embedded:.samewise/log',
  schemas: 'none',
  sampling: '30s',
  featureLog: 'file:.samewise/feature-log',
} as const;

type Environment = Readonly<Record<string, string | undefined>>;
type Setting = keyof typeof DEFAULTS;
type Settings = Readonly<Record<Setting, string>>;
const SETTINGS = Object.keys(DEFAULTS) as Setting[];
const FORM: Readonly<Record<Setting, string>> = {
  definitions: 'the TypeScript file that exports the definitions',
  registry: REGISTRY_FORM,
  online: ONLINE_FORM,
  offline: 'file:<folder of the history of streams>',
  stream: STREAM_FORM,
  featureLog: FEATURE_LOG_FORM,
  schemas: 'http(s)://<a schema registry that speaks Confluent’s API>, or none',
  sampling: '<how often some pages are compared with history, such as 30s>, or off',
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
  readonly registry: RegistryPlace;
  readonly online: OnlinePlace;
  readonly offline: Place<'file'>;
  readonly stream: StreamPlace;
  /** URL of the schema registry; null: there is none. */
  readonly schemas: string | null;
  /** At most so often some pages are compared with history; null: never. */
  readonly samplingMs: number | null;
  /** Null: no vector is logged. */
  readonly featureLog: FeatureLogPlace | null;
  /** What the project keeps that nobody edits. */
  readonly stateDir: string;
  /** For what does not fit into memory. */
  readonly tempDir: string;
  /** Who works here: SAMEWISE_AUTHOR, else the account. */
  readonly author: string;
}

/** The environment variable that overrides a setting: SAMEWISE_REGISTRY, SAMEWISE_FEATURE_LOG and so on. */
function variableOf(setting: Setting): string {
  return `SAMEWISE_${setting.replace(/[A-Z]/g, '_$&').toUpperCase()}`;
}

/**
 * Reads the configuration of the project in `projectDir`. Throws `app/no-project`, `app/bad-config` and `app/bad-url`.
 */
export function readConfig(projectDir: string, environment: Environment = process.env): Config {
  const project = resolve(projectDir);
  const settings = readFile(join(project, CONFIG_FILE));
  const get = (setting: Setting): string => environment[variableOf(setting)] ?? settings[setting];
  return {
    projectDir: project,
    definitions: resolve(project, get('definitions')),
    registry: registryPlace(project, get('registry'), settings, environment),
    online: onlinePlace(project, get('online'), settings, environment),
    offline: place(project, 'offline', get('offline'), 'file', settings, environment),
    stream: streamPlace(project, get('stream'), settings, environment),
    schemas: schemaRegistry(project, get('schemas'), settings, environment),
    samplingMs: samplingTime(project, get('sampling')),
    featureLog: featureLogPlace(project, get('featureLog'), settings, environment),
    stateDir: join(project, '.samewise'),
    tempDir: join(project, '.samewise', 'tmp'),
    author: environment.SAMEWISE_AUTHOR ?? account(),
  };
}

function readFile(file: string): Settings {
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
  const problem = problemOf(file, found);
  if (problem !== null) throw problem;
  return { ...DEFAULTS, ...(found as Partial<Settings>) };
}

function problemOf(file: string, found: unknown): SamewiseError | null {
  if (found === null || typeof found !== 'object' || Array.isArray(found))
    return new SamewiseError('app/bad-config', 'it is not a JSON object', { where: { file } });
  for (const [name, value] of Object.entries(found)) {
    const where = { file, field: name };
    if (!SETTINGS.includes(name as Setting)) {
      const meant = nearest(name, SETTINGS);
      return new SamewiseError('app/bad-config', `there is no setting ${JSON.stringify(name)}`, {
        where,
        hint: meant === undefined ? `settings: ${SETTINGS.join(', ')}` : `did you mean "${meant}"?`,
      });
    }
    if (typeof value !== 'string' || value === '') {
      return new SamewiseError('app/bad-config', `${name} is not a text`, {
        where,
        hint: `write it as ${FORM[name as Setting]}`,
      });
    }
  }
  return null;
}

function place<Kind extends string>(
  project: string,
  setting: Setting,
  url: string,
  kind: Kind,
  settings: Settings,
  environment: Environment,
): Place<Kind> {
  const path = url.startsWith(`${kind}:`) ? url.slice(kind.length + 1) : '';
  if (path !== '') return { kind, path: resolve(project, path) };
  throw badUrl(project, setting, url, settings, environment);
}

function registryPlace(
  project: string,
  url: string,
  settings: Settings,
  environment: Environment,
): RegistryPlace {
  const found = parseRegistryPlace(project, url);
  if (found !== null) return found;
  throw badUrl(project, 'registry', url, settings, environment);
}

function onlinePlace(
  project: string,
  url: string,
  settings: Settings,
  environment: Environment,
): OnlinePlace {
  const found = parseOnlinePlace(project, url);
  if (found !== null) return found;
  throw badUrl(project, 'online', url, settings, environment);
}

function streamPlace(
  project: string,
  url: string,
  settings: Settings,
  environment: Environment,
): StreamPlace {
  const found = parseStreamPlace(project, url);
  if (found !== null) return found;
  throw badUrl(project, 'stream', url, settings, environment);
}

function featureLogPlace(
  project: string,
  url: string,
  settings: Settings,
  environment: Environment,
): FeatureLogPlace | null {
  const found = parseFeatureLogPlace(project, url);
  if (found !== undefined) return found;
  throw badUrl(project, 'featureLog', url, settings, environment);
}

function schemaRegistry(
  project: string,
  url: string,
  settings: Settings,
  environment: Environment,
): string | null {
  if (url === DEFAULTS.schemas) return null;
  if (/^https?:/.test(url) && URL.canParse(url)) return url;
  throw badUrl(project, 'schemas', url, settings, environment);
}

function samplingTime(project: string, text: string): number | null {
  if (text === 'off') return null;
  try {
    return parseDuration(text) / 1000;
  } catch (cause) {
    throw new SamewiseError('app/bad-config', `sampling is ${JSON.stringify(text)}`, {
      where: { file: join(project, CONFIG_FILE), field: 'sampling' },
      hint: `write it as ${FORM.sampling}`,
      cause,
    });
  }
}

function badUrl(
  project: string,
  setting: Setting,
  url: string,
  settings: Settings,
  environment: Environment,
): SamewiseError {
  const variable = variableOf(setting);
  const from = environment[variable] !== undefined && settings[setting] !== url;
  return new SamewiseError(
    'app/bad-url',
    `${JSON.stringify(url.replace(/:[^@]*@/, ':***@'))} does not name a place for the ${setting}`,
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
