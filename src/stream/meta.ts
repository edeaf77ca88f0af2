/** Small values of the stream's bookkeeping, as JSON in the online store. */
import type { Checkpoint } from '../offline/history_contract.ts';
import type { OnlineStore } from '../online/contract.ts';

/** A checkpoint as JSON, whose numbers do not hold every position. */
export type Written = readonly [position: string, arrivalUs: number, newestUs: number | null];

export function write({ position, arrivalUs, newestUs }: Checkpoint): Written {
  return [String(position), arrivalUs, newestUs];
}

export function read([position, arrivalUs, newestUs]: Written): Checkpoint {
  return { position: BigInt(position), arrivalUs, newestUs };
}

export async function readJson<T>(online: OnlineStore, name: string): Promise<T | null> {
  const bytes = await online.getMeta(name);
  return bytes === undefined ? null : JSON.parse(new TextDecoder().decode(bytes));
}

export async function writeJson(online: OnlineStore, name: string, value: unknown): Promise<void> {
  await online.putMeta(name, new TextEncoder().encode(JSON.stringify(value)));
}
