/** The proof: what a training set holds is, bit for bit, what the online store answers for the same entities at the same times. */
import { SamewiseError } from '../base/errors.ts';
import { formatInstant } from '../base/time.ts';
import { compileMembers, VectorReader } from '../serving/index.ts';
import { scalarAt } from '../types/column.ts';
import { type Scalar, sameScalar, scalarToJsonText } from '../types/scalar.ts';
import type { App } from './open.ts';

/** A value that differs; texts are JSON. */
export interface Mismatch {
  /** 0-based row of the training set. */
  readonly row: number;
  readonly at: string;
  readonly feature: string;
  readonly training: string;
  readonly online: string;
}

export interface Proof {
  readonly rows: number;
  readonly values: number;
  readonly mismatches: readonly Mismatch[];
}

const BATCH = 256;

/**
 * Reads up to `rows` rows of a training set online, each at its own T, and compares every feature.
 * Throws `app/cannot-prove` for one that was built as-served: the online store answers with all that is known now.
 */
export async function prove(
  app: Pick<App, 'online' | 'offline'> & { readonly coldTier: Pick<App['coldTier'], 'bringBack'> },
  manifestPath: string,
  rows: number,
): Promise<Proof> {
  const sample = await app.offline.sample(manifestPath, rows);
  if (sample.knowledge !== 'final') {
    throw new SamewiseError('app/cannot-prove', 'the training set was built as-served', {
      where: { file: manifestPath },
      hint: 'the online store answers with what is known now: build one with --knowledge final',
    });
  }
  const program = compileMembers(sample.catalog, sample.members);
  const reader = new VectorReader(
    app.online,
    { pages: () => {}, bytes: () => {} },
    app.coldTier.bringBack,
  );
  const { outputs } = program.plan;
  const mismatches: Mismatch[] = [];
  for (let from = 0; from < sample.request.length; from += BATCH) {
    const to = Math.min(from + BATCH, sample.request.length);
    const asked = Array.from({ length: to - from }, (_, i): (Scalar | null)[] =>
      program.inputs.map(({ name }) => scalarAt(sample.request.columns[name]!, from + i)),
    );
    const readUs = sample.timeUs.slice(from, to).map((us) => us + (sample.through ? 1 : 0));
    const vectors = await reader.read(program, asked, readUs);
    for (let row = from; row < to; row++) {
      outputs.forEach(({ name, dtype }, i) => {
        const training = scalarAt(sample.values.columns[name]!, row);
        const online = vectors.value(row - from, i);
        if (sameScalar(training, online)) return;
        mismatches.push({
          row: sample.rowNumbers[row]!,
          at: formatInstant(sample.timeUs[row]!),
          feature: name,
          training: scalarToJsonText(training, dtype),
          online: scalarToJsonText(online, dtype),
        });
      });
    }
  }
  return {
    rows: sample.request.length,
    values: sample.request.length * outputs.length,
    mismatches,
  };
}
