/** GetOnlineFeatures, as the doors past the framework know it. */
import { fromBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  FeatureService,
  type GetOnlineFeaturesRequest,
  GetOnlineFeaturesRequestSchema,
} from './gen/samewise/v1/features_pb.ts';

export const ONLINE_CALL = `/${FeatureService.typeName}/${FeatureService.method.getOnlineFeatures.name}`;

/** Reads a request. Throws as the framework does. */
export function requestIn(message: Uint8Array): GetOnlineFeaturesRequest {
  try {
    return fromBinary(GetOnlineFeaturesRequestSchema, message);
  } catch (error) {
    throw new ConnectError(`parse binary: ${(error as Error).message}`, Code.InvalidArgument);
  }
}
