/** What the online store remembers of materialisation: how far a view is, and which shards of a run are done. */
import { canonicalJson, sha256Hex } from '../base/hash.ts';
import type { OfflineStore } from '../offline/contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import type { Counts } from '../stream/page_builder.ts';

/** How far a view version is materialised. */
export interface Watermark {
  /** Newest arrival in its pages; null: there were no events. */
  readonly newestUs: number | null;
  /** What the source's files looked like then. */
  readonly source: Estimate;
  readonly atUs: number;
}

export type Estimate = Awaited<ReturnType<OfflineStore['estimate']>>;

/** A run that may be taken up again: `fingerprint` tells whether it is of the same input. */
export interface RunState {
  readonly fingerprint: string;
  /** By shard: what it did; null: not done. */
  readonly shards: (Counts | null)[];
}

const utf8 = new TextEncoder();
const text = new TextDecoder();

export async function readWatermark(
  online: OnlineStore,
  viewId: string,
): Promise<Watermark | null> {
  return readJson(online, `materialized/${viewId}`);
}

export async function writeWatermark(
  online: OnlineStore,
  viewId: string,
  watermark: Watermark,
): Promise<void> {
  await writeJson(online, `materialized/${viewId}`, watermark);
}

/** Forgets how far a view version is: should it live again, its next run is a full one. */
export async function forgetView(online: OnlineStore, viewId: string): Promise<void> {
  await writeJson(online, `materialized/${viewId}`, null);
  await keepRun(online, viewId, null);
}

/** The unfinished run of the same input, or a new one of `shards` shards. */
export async function takeUpRun(
  online: OnlineStore,
  viewId: string,
  input: { readonly sinceUs: number | null; readonly source: Estimate },
  shards: number,
): Promise<RunState> {
  const fingerprint = sha256Hex(canonicalJson({ viewId, input, shards }));
  const found = await readJson<RunState>(online, `run/${viewId}`);
  return found !== null && found.fingerprint === fingerprint
    ? found
    : { fingerprint, shards: new Array<null>(shards).fill(null) };
}

/** Keeps what a run has done; null when it is finished. */
export async function keepRun(
  online: OnlineStore,
  viewId: string,
  run: RunState | null,
): Promise<void> {
  await writeJson(online, `run/${viewId}`, run);
}

export function sameEstimate(a: Estimate, b: Estimate): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

async function readJson<T>(online: OnlineStore, name: string): Promise<T | null> {
  const bytes = await online.getMeta(name);
  return bytes === undefined ? null : JSON.parse(text.decode(bytes));
}

async function writeJson(online: OnlineStore, name: string, value: unknown): Promise<void> {
  await online.putMeta(name, utf8.encode(JSON.stringify(value)));
}
