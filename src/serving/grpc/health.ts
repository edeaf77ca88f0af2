/** The standard health service: a server serves when its registry and its online store can be reached. */
import { setTimeout } from 'node:timers/promises';
import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect';
import {
  type Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from './gen/grpc/health/v1/health_pb.ts';

/** How often a watched service is looked at, in milliseconds. */
const WATCH_MS = 1_000;

/** `isReady` rejects where the server cannot answer; `closing` ends what is watched. */
export function healthService(
  services: readonly string[],
  isReady: () => Promise<unknown>,
  closing: AbortSignal,
): ServiceImpl<typeof Health> {
  const status = async (): Promise<ServingStatus> => {
    if (closing.aborted) return ServingStatus.NOT_SERVING;
    return await isReady().then(
      () => ServingStatus.SERVING,
      () => ServingStatus.NOT_SERVING,
    );
  };
  const knows = (service: string) => service === '' || services.includes(service);
  return {
    async check({ service }) {
      if (!knows(service))
        throw new ConnectError(`there is no service ${JSON.stringify(service)}`, Code.NotFound);
      return { status: await status() };
    },
    async *watch({ service }, { signal }) {
      let told: ServingStatus | null = null;
      while (!signal.aborted) {
        const now = knows(service) ? await status() : ServingStatus.SERVICE_UNKNOWN;
        if (now !== told) yield { status: now };
        told = now;
        if (closing.aborted) return;
        await setTimeout(WATCH_MS, undefined, {
          signal: AbortSignal.any([signal, closing]),
          ref: false,
        }).catch(() => {});
      }
    },
  };
}
