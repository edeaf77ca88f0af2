/** What a server does before it says that it is ready: so that no client is the first to wait for it. */
import { setImmediate } from 'node:timers/promises';
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import type { OnlineStore } from '../online/contract.ts';
import { decodeKey } from '../types/key.ts';
import type { Scalar } from '../types/scalar.ts';
import { rowTexts } from './answer.ts';
import type { Context } from './context.ts';
import type { ServiceProgram } from './service_program.ts';
import { type RequestRow, VectorReader, type Vectors } from './vector.ts';

/** Entities that are read of each service: enough that what runs for every request is compiled. */
const READS = 300;
/** Keys of each view that these entities are made of. */
const KEYS = 50;
/** After so long a server that is somewhat cold is better than none. Plans are compiled in any case. */
const MOST_MS = 5_000;
/** Reads between two turns for others. */
const READS_A_TURN = 10;

/** Warming up is nothing that a client has asked for. */
const NOT_COUNTED = { pages() {}, bytes() {} };

/** Compiles the plans of all services and reads entities that are there, also through the page cache of the system. Counts and logs nothing. */
export async function warmUp({ clock, definitions, online }: Context): Promise<void> {
  const revision = await definitions.newest();
  const reader = new VectorReader(online, NOT_COUNTED);
  const untilMs = clock.monotonicMs() + MOST_MS;
  for (const { kind, name, version, state } of revision.registered) {
    if (kind !== 'featureService' || state === 'retired') continue;
    if (state === 'current') revision.service(name);
    const { program, columns } = revision.service(`${name}@${version}`);
    const rows = await someRows(online, program);
    for (let i = 0; i < READS && clock.monotonicMs() < untilMs; i++) {
      const vectors = await readKept(reader, program, rows[i % rows.length]!, clock.nowUs());
      if (vectors !== null) rowTexts(vectors, 0, columns);
      if (i % READS_A_TURN === 0) await setImmediate();
    }
  }
}

/** Null for a key that was evicted: nothing is brought back to warm up. */
async function readKept(
  reader: VectorReader,
  program: ServiceProgram,
  row: RequestRow,
  readUs: InstantUs,
): Promise<Vectors | null> {
  try {
    return await reader.read(program, [row], readUs);
  } catch (error) {
    if (error instanceof SamewiseError && error.code === 'timeline/evicted-page') return null;
    throw error;
  }
}

/** Requests for entities that are in the store, in different views perhaps; without request data. */
async function someRows(online: OnlineStore, program: ServiceProgram): Promise<RequestRow[]> {
  const rows = Array.from({ length: KEYS }, () =>
    new Array<Scalar | null>(program.inputs.length).fill(null),
  );
  for (const { inputs, lookups } of program.levels[0] ?? []) {
    const view = program.plan.lookups[lookups[0]!]!.program;
    let at = 0;
    for await (const key of online.scan(view.id)) {
      const parts = decodeKey(key, view.keyDtypes);
      inputs.forEach((input, part) => {
        if (input >= 0) rows[at]![input] = parts[part]!;
      });
      if (++at === KEYS) break;
    }
  }
  return rows;
}
