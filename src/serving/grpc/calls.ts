/**
 * The calls of proto/, over gRPC, gRPC-web and Connect: connect-node speaks the protocols, what is answered is ours.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { Code, ConnectError, createConnectRouter, type Interceptor } from '@connectrpc/connect';
import { codeToHttpStatus } from '@connectrpc/connect/protocol-connect';
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from '@connectrpc/connect-node';
import type { Context } from '../context.ts';
import type { RequestIds } from '../request_ids.ts';
import { endSending } from './end_sending.ts';
import { callRefusal } from './errors.ts';
import { MAX_TIMEOUT_MS } from './feature_calls.ts';
import { featureService } from './feature_service.ts';
import { Health } from './gen/grpc/health/v1/health_pb.ts';
import * as reflectionV1 from './gen/grpc/reflection/v1/reflection_pb.ts';
import * as reflectionV1Alpha from './gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { FeatureService } from './gen/samewise/v1/features_pb.ts';
import { RegistryService } from './gen/samewise/v1/registry_pb.ts';
import { TrainingService } from './gen/samewise/v1/training_pb.ts';
import { healthService } from './health.ts';
import type { Received } from './received.ts';
import { Reflected, reflect } from './reflection.ts';
import { registryService } from './registry_service.ts';
import { trainingService } from './training_service.ts';

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

/** Answers a request for a call, or says that it is none and has done nothing. */
export type CallHandler = (request: Request, response: Response) => boolean;

const SERVED = [FeatureService, TrainingService, RegistryService];

/** What calls need beside the context. */
export interface CallOptions {
  /** Largest message that is read, in bytes. */
  readonly maxMessageBytes: number;
  readonly received: Received;
  readonly requestIds: RequestIds;
  /** Rejects where the server had better not be asked. */
  readonly isReady: () => Promise<unknown>;
}

/** The handler of all calls. `closing` ends calls that would never end. */
export function callHandler(
  context: Context,
  { maxMessageBytes, received, requestIds, isReady }: CallOptions,
  closing: AbortSignal,
): CallHandler {
  const router = createConnectRouter({
    acceptCompression: [compressionGzip, compressionBrotli],
    readMaxBytes: maxMessageBytes,
    maxTimeoutMs: MAX_TIMEOUT_MS,
    interceptors: [accountFor(context, requestIds)],
  });
  const names = SERVED.map(({ typeName }) => typeName);
  router.service(FeatureService, featureService(context));
  router.service(TrainingService, trainingService(context));
  router.service(RegistryService, registryService(context));
  router.service(Health, healthService(names, isReady, closing));
  const reflection = reflectionService(closing);
  router.service(reflectionV1.ServerReflection, reflection);
  router.service(reflectionV1Alpha.ServerReflection, reflection);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (request, response) => {
    const url = request.url!;
    const query = url.indexOf('?');
    const handler = handlers.get(query < 0 ? url : url.slice(0, query));
    if (handler === undefined) return false;
    answer(handler, request, response, received).catch((error) => {
      // Whoever hung up is told nothing, and that is no failure.
      if (ConnectError.from(error).code !== Code.Aborted)
        context.onFailure(error, { method: 'call', url });
      response.destroy();
    });
    return true;
  };
}

const REQUEST_ID = 'x-request-id';

type Handler = ReturnType<typeof createConnectRouter>['handlers'][number];

async function answer(
  handler: Handler,
  request: Request,
  response: Response,
  received: Received,
): Promise<void> {
  const asked = universalRequestFromNodeRequest(request, response, undefined, undefined);
  const { methodKind } = handler.method;
  const one = methodKind === 'unary' || methodKind === 'server_streaming';
  const body = asked.body as AsyncIterable<Uint8Array>;
  const counted = one ? { ...asked, body: received.counted(body) } : asked;
  const answered = await handler(counted);
  // A request that is refused before it is whole: nobody reads the rest.
  if ('stream' in request) {
    const { stream } = request;
    stream.once('wantTrailers', () => {
      if (!stream.readableEnded) endSending(stream);
    });
  } else response.once('finish', () => request.resume());
  await universalResponseToNodeResponse(answered, response);
}

/** Names calls, counts them, and tells errors in their form. */
function accountFor({ clock, metrics, onFailure }: Context, requestIds: RequestIds): Interceptor {
  return (next) => async (call) => {
    const route = `/${call.service.typeName}/${call.method.name}`;
    const startedMs = clock.monotonicMs();
    const id = requestIds.of(call.header.get(REQUEST_ID));
    call.header.set(REQUEST_ID, id);
    const ends = (status: number) =>
      metrics.request(route, status, (clock.monotonicMs() - startedMs) / 1000);
    const refuse = (error: unknown): ConnectError => {
      const refusal = callRefusal(error, (cause) =>
        onFailure(cause, { id, method: call.requestMethod, url: route }),
      );
      refusal.metadata.set(REQUEST_ID, id);
      ends(codeToHttpStatus(refusal.code));
      return refusal;
    };
    try {
      const answered = await next(call);
      answered.header.set(REQUEST_ID, id);
      if (!answered.stream) {
        ends(200);
        return answered;
      }
      return { ...answered, message: toldToTheEnd(answered.message, () => ends(200), refuse) };
    } catch (error) {
      throw refuse(error);
    }
  };
}

async function* toldToTheEnd<T>(
  messages: AsyncIterable<T>,
  end: () => void,
  refuse: (error: unknown) => ConnectError,
): AsyncGenerator<T> {
  try {
    yield* messages;
    end();
  } catch (error) {
    throw refuse(error);
  }
}

/** Both versions of the protocol have the same messages under other names. */
function reflectionService(closing: AbortSignal) {
  const reflected = new Reflected([
    ...SERVED,
    Health,
    reflectionV1.ServerReflection,
    reflectionV1Alpha.ServerReflection,
  ]);
  return {
    serverReflectionInfo: (questions: AsyncIterable<any>): AsyncIterable<any> =>
      reflect(reflected, questions, closing),
  };
}
