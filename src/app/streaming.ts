/** What everything that has to do with streams works with. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import type { OfflineStore } from '../offline/contract.ts';
import type { HistoryLog } from '../offline/history_contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import type { Registry } from '../registry/contract.ts';
import type { EventLog } from '../stream/contract.ts';
import type { OpenDecoder } from './open_log.ts';

/** An app, or a test's own stores. */
export interface Streaming {
  readonly registry: Registry;
  readonly online: OnlineStore;
  readonly offline: Pick<OfflineStore, 'history'>;
  readonly history: HistoryLog;
  readonly log: EventLog;
  readonly decoder: OpenDecoder;
  readonly clock: Clock;
}

/** Sleeps; an abort ends it at once. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => {});
}
