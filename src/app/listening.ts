/** A server that listens, of one process or of several. */
import { SamewiseError } from '../base/errors.ts';

export interface Listening {
  readonly url: string;
  /** Resolves when /readyz says yes. */
  readonly warm: Promise<void>;
  /** What was counted, in Prometheus' text format. */
  metrics(): Promise<string>;
  /** Takes no connection any more and lets requests in flight finish. */
  close(): Promise<void>;
}

export function cannotListen(host: string, port: number, cause: Error): SamewiseError {
  return new SamewiseError(
    'app/cannot-listen',
    `cannot listen on ${host}:${port}: ${cause.message}`,
    {
      hint: 'choose a port that is free with --port (0 takes any), and an address of this machine',
      cause,
    },
  );
}
