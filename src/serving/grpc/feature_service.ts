/** FeatureService: features of entities, in one message or in many. */
import { create, fromBinary } from '@bufbuild/protobuf';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type { Context } from '../context.ts';
import { answerTo, askedFeatures, deadlineAfter, type Terms } from './feature_calls.ts';
import {
  type FeatureService,
  GetOnlineFeaturesRequestSchema,
  type GetOnlineFeaturesResponse,
  GetOnlineFeaturesResponseSchema,
} from './gen/samewise/v1/features_pb.ts';

/** Rows of one message of a stream. */
const CHUNK_ROWS = 1_000;

export function featureService(context: Context): ServiceImpl<typeof FeatureService> {
  const { clock, definitions } = context;
  const termsOf = ({ timeoutMs, requestHeader }: HandlerContext): Terms => ({
    untilMs: deadlineAfter(clock.monotonicMs(), timeoutMs()),
    requestId: requestHeader.get('x-request-id'),
  });
  return {
    async getOnlineFeatures(request, call) {
      const terms = termsOf(call);
      const asked = askedFeatures(context, await definitions.newest(), request);
      return messageOf(await answerTo(context, asked, terms));
    },
    async *streamOnlineFeatures({ request }, call) {
      const terms = termsOf(call);
      const whole = request ?? create(GetOnlineFeaturesRequestSchema);
      const asked = askedFeatures(context, await definitions.newest(), whole);
      for (let row = 0; row < asked.rows.length && !call.signal.aborted; row += CHUNK_ROWS) {
        const rows = asked.rows.slice(row, row + CHUNK_ROWS);
        yield { response: messageOf(await answerTo(context, { ...asked, rows }, terms)) };
      }
    },
  };
}

function messageOf(bytes: Uint8Array): GetOnlineFeaturesResponse {
  return fromBinary(GetOnlineFeaturesResponseSchema, bytes);
}
