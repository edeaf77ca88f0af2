/** Where vectors that are served are logged, how many of them, and for how long, by URL. */
import { resolve } from 'node:path';

/** The log of a project that has one. */
export interface FeatureLogPlace {
  readonly path: string;
  /** Of all vectors, the share that is logged: above 0, at most 1. */
  readonly share: number;
  /** Days that are kept. */
  readonly days: number;
}

/** How the URL is written. */
export const FEATURE_LOG_FORM = 'file:<folder>?share=0.001&days=7, or none';

/** One in a thousand costs a server nothing that can be measured, and is thousands an hour where it matters. */
const SHARE = 0.001;
const DAYS = 7;

/** The place that a URL names, null for `none`; undefined if it names none. Paths are relative to the project. */
export function parseFeatureLogPlace(
  projectDir: string,
  url: string,
): FeatureLogPlace | null | undefined {
  if (url === 'none') return null;
  const [, body, query] = /^file:([^?]+)(?:\?(.*))?$/.exec(url) ?? [];
  const options = new URLSearchParams(query);
  if (body === undefined || [...options.keys()].some((name) => !['share', 'days'].includes(name)))
    return undefined;
  const share = Number(options.get('share') ?? SHARE);
  const days = Number(options.get('days') ?? DAYS);
  if (!(share > 0 && share <= 1 && Number.isInteger(days) && days >= 1)) return undefined;
  return { path: resolve(projectDir, body), share, days };
}
