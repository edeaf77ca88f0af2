/** TrainingService: labels in, their training set out, as pieces of Arrow streams. */
import type { ServiceImpl } from '@connectrpc/connect';
import { SamewiseError } from '../../base/errors.ts';
import type { Context } from '../context.ts';
import type { TrainingAsked } from '../training.ts';
import { ARROW_STREAM } from '../training_schemas.ts';
import {
  type GetTrainingSetRequest,
  Knowledge,
  type TrainingService,
  type TrainingSetOptions,
} from './gen/samewise/v1/training_pb.ts';

export function trainingService({
  trainings,
}: Pick<Context, 'trainings'>): ServiceImpl<typeof TrainingService> {
  return {
    async *getTrainingSet(requests, { signal }) {
      const messages = requests[Symbol.asyncIterator]();
      const first = await messages.next();
      const asked = askedOf(first.done === true ? undefined : first.value.options);
      const made = await trainings.build(asked, labelsIn(first, messages), signal);
      const { id, manifest, rows, bytes, warnings, stream } = made;
      const abort = () => stream.destroy();
      signal.addEventListener('abort', abort, { once: true });
      try {
        yield {
          trainingSet: {
            id,
            manifest,
            rows: BigInt(rows),
            bytes: BigInt(bytes),
            warnings: [...warnings],
          },
        };
        for await (const chunk of stream) yield { rows: chunk as Uint8Array };
      } finally {
        signal.removeEventListener('abort', abort);
        stream.destroy();
      }
    },
  };
}

function askedOf(options: TrainingSetOptions | undefined): TrainingAsked {
  const { what, atColumn, through, knowledge, fullNames } = options ?? {};
  if (what?.value === undefined)
    throw new SamewiseError(
      'serving/missing-field',
      'the first message does not say which training set is wanted',
      {
        where: { field: 'options' },
        hint: 'give options with a service or features, and at_column',
      },
    );
  return {
    id: null,
    service: what.case === 'service' ? what.value : null,
    features: what.case === 'features' ? what.value : null,
    fullNames: fullNames!,
    timeColumn: atColumn!,
    through: through!,
    knowledge: knowledge === Knowledge.AS_SERVED ? 'as-served' : 'final',
    contentType: ARROW_STREAM,
  };
}

/** The pieces of labels, as they come. */
async function* labelsIn(
  first: IteratorResult<GetTrainingSetRequest>,
  messages: AsyncIterator<GetTrainingSetRequest>,
): AsyncGenerator<Uint8Array> {
  for (let next = first; next.done !== true; next = await messages.next())
    if (next.value.labels.length > 0) yield next.value.labels;
}
