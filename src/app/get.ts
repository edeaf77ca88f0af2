/** One entity's vector, read without a server. */
import { SamewiseError } from '../base/errors.ts';
import { formatInstant } from '../base/time.ts';
import type { Status } from '../model/index.ts';
import { compileMembers, requestRow, type ServiceProgram, VectorReader } from '../serving/index.ts';
import { Staleness } from '../serving/staleness.ts';
import type { Dtype } from '../types/dtype.ts';
import type { Scalar } from '../types/scalar.ts';
import { ask } from './ask.ts';
import type { App } from './open.ts';

export interface Vector {
  /** ISO 8601. */
  readonly at: string;
  readonly features: readonly {
    readonly name: string;
    readonly dtype: Dtype;
    readonly value: Scalar | null;
    readonly status: Status;
    /** Made from something that is behind what its view promises, and served nevertheless. */
    readonly stale: boolean;
  }[];
}

/**
 * Reads a service or a list of features for one entity, as a server answers it. `given` holds key parts and request data as texts.
 * Throws as `ask` and as the server's vectors route do, `serving/stale-feature` among them.
 */
export async function getVector(
  app: App,
  what: string,
  given: Readonly<Record<string, string>>,
  time: { readonly atUs: number | null; readonly through: boolean },
): Promise<Vector> {
  const registered = await app.registry.load();
  const { catalog, members } = ask(registered, what);
  const program = compileMembers(catalog, members, what);
  const row = typedRow(program, given);
  const atUs = time.atUs ?? app.clock.nowUs();
  const reader = new VectorReader(
    app.online,
    { pages: () => {}, bytes: () => {} },
    app.coldTier.bringBack,
  );
  const readUs = time.through ? atUs + 1 : atUs;
  const levels = await app.registry.serviceLevels();
  const stale = new Staleness(registered, levels, app.clock.nowUs()).ofRead(program, readUs);
  const reading = reader.begin(program, [row], readUs, [], stale);
  await reading.read(0, 1);
  const vectors = reading.end();
  return {
    at: formatInstant(atUs),
    features: program.plan.outputs.map((output, i) => ({
      name: output.name,
      dtype: output.dtype,
      value: vectors.value(0, i),
      status: vectors.status(0, i),
      stale: vectors.stale.includes(i),
    })),
  };
}

/** What a command line gives, by name. Throws as `requestRow`, and names what was typed. */
export function typedRow(
  program: ServiceProgram,
  texts: Readonly<Record<string, string>>,
): (Scalar | null)[] {
  const typed = Object.fromEntries(
    Object.entries(texts).map(([name, text]) => {
      const dtype = program.inputs.find((field) => field.name === name)?.dtype;
      return [name, dtype === undefined ? text : fromText(text, dtype)];
    }),
  );
  try {
    return requestRow(program, typed, '');
  } catch (error) {
    if (!(error instanceof SamewiseError) || error.where.field === undefined) throw error;
    const name = String(error.where.field).slice(1);
    const isRequest = program.plan.requestColumns.some((column) => column.name === name);
    throw new SamewiseError(error.code, error.message, {
      where: { ...error.where, field: `${isRequest ? '--request' : '--key'} ${name}` },
      hint: error.hint,
      cause: error,
    });
  }
}

/** What a command line's text stands for: numbers, booleans and lists are read as JSON, everything else is itself. */
function fromText(text: string, dtype: Dtype): unknown {
  if (text === 'null') return null;
  switch (dtype.kind) {
    case 'bool':
    case 'int32':
    case 'float32':
    case 'float64':
    case 'list':
    case 'vector':
      try {
        return JSON.parse(text);
      } catch {
        return text;
      }
    default:
      return text;
  }
}
