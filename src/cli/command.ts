/** What every command shares: the project, the wired app, output, and an orderly end. */
import { Command } from 'commander';
import type { App } from '../app/open.ts';
import { SamewiseError } from '../base/errors.ts';
import { type InstantUs, parseInstant } from '../base/time.ts';
import { createOutput, type Output } from './output.ts';

export interface Session {
  readonly app: App;
  readonly out: Output;
  readonly signal: AbortSignal;
}

/** A new command with examples under its help. */
export function command(name: string, description: string, examples: readonly string[]): Command {
  return new Command(name)
    .description(description)
    .addHelpText(
      'after',
      `\nExamples:\n${examples.map((line) => `  $ samewise ${line}`).join('\n')}`,
    );
}

/** Opens the project's stores, runs `body`, and closes them whatever happens. */
export async function withApp(
  from: Command,
  body: (session: Session) => Promise<void>,
): Promise<void> {
  const { out, signal, project } = surroundings(from);
  // What the stores need is loaded only when a command opens them: help and mistakes answer at once.
  const { openApp } = await import('../app/open.ts');
  const app = await openApp({ projectDir: project });
  try {
    await body({ app, out, signal });
  } finally {
    await app.close();
  }
}

/** Output and project of a command that needs no stores. */
export function surroundings(from: Command): {
  out: Output;
  signal: AbortSignal;
  project: string;
} {
  const options = from.optsWithGlobals() as {
    json?: boolean;
    project: string;
    signal: AbortSignal;
  };
  return {
    out: createOutput(options.json === true),
    signal: options.signal,
    project: options.project,
  };
}

/** The --at option: ISO 8601. */
export function instant(text: string): InstantUs {
  try {
    return parseInstant(text);
  } catch (cause) {
    const { message, hint } = cause as SamewiseError;
    throw new SamewiseError('cli/bad-option', message, { where: { field: '--at' }, hint, cause });
  }
}

/** A whole number option. */
export function whole(text: string): number {
  if (!/^\d{1,15}$/.test(text)) {
    throw new SamewiseError('cli/bad-option', `${JSON.stringify(text)} is not a whole number`, {
      hint: 'write it in digits',
    });
  }
  return Number(text);
}

/** Collects `name=value` options that may be given several times. */
export function pairs(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) {
    throw new SamewiseError('cli/bad-option', `${JSON.stringify(text)} is not name=value`, {
      hint: 'write it like customer_id=7',
    });
  }
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** Collects an option that may be given several times or as a comma-separated list. */
export function listed(text: string, before: readonly string[] = []): string[] {
  return [
    ...before,
    ...text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  ];
}
