/**
 * The rate at which what is online differs from history, as it was last measured: by comparing pages (`reconcile`) or vectors that
 * were served (`prove`). It lies in the registry, so every process tells the same, whoever measured.
 */
import { Gauge, Registry as PromRegistry } from 'prom-client';
import type { Registered, Registry } from '../registry/contract.ts';
import type { Comparison } from '../registry/health_contract.ts';

/** Of what was compared, the share that differs; 0 where nothing was. */
export function mismatchRatio({ compared, different }: Comparison): number {
  return compared === 0 ? 0 : different / compared;
}

/** The newest comparisons of views that are live. */
export async function liveComparisons(
  registry: Registry,
  registered: readonly Registered[],
): Promise<Comparison[]> {
  const live = new Set(
    registered
      .filter(({ kind, state }) => kind === 'featureView' && state !== 'retired')
      .map(({ name, version }) => `${name}@${version}`),
  );
  return (await registry.comparisons()).filter(({ view, version }) =>
    live.has(`${view}@${version}`),
  );
}

/** Comparisons in Prometheus' text format; of a view with several live versions the worst one. */
export function mismatchMetrics(registry: Registry): () => Promise<string> {
  const prometheus = new PromRegistry();
  const labelNames = ['feature_view', 'by'] as const;
  const registers = [prometheus];
  const ratio = new Gauge({
    name: 'samewise_mismatch_ratio',
    help: 'Share of what was compared with history that differs from it; the target is 0',
    labelNames,
    registers,
  });
  const compared = new Gauge({
    name: 'samewise_mismatch_compared',
    help: 'Keys (by reconcile) or values (by prove) of which samewise_mismatch_ratio is a share',
    labelNames,
    registers,
  });
  const at = new Gauge({
    name: 'samewise_mismatch_compared_timestamp_seconds',
    help: 'When pages or served vectors were last compared with history',
    labelNames,
    registers,
  });
  let head = -1;
  let registered: readonly Registered[] = [];
  return async () => {
    // What was told last still holds for all that anybody knows.
    if (!registry.connection().connected) return prometheus.metrics();
    const now = await registry.head();
    if (now !== head) registered = await registry.load();
    head = now;
    const worst = new Map<string, Comparison>();
    for (const one of await liveComparisons(registry, registered)) {
      const of = `${one.view} ${one.by}`;
      const before = worst.get(of);
      if (before === undefined || mismatchRatio(one) >= mismatchRatio(before)) worst.set(of, one);
    }
    for (const gauge of [ratio, compared, at]) gauge.reset();
    for (const one of worst.values()) {
      const labels = { feature_view: one.view, by: one.by };
      ratio.set(labels, mismatchRatio(one));
      compared.set(labels, one.compared);
      at.set(labels, one.atUs / 1e6);
    }
    return prometheus.metrics();
  };
}
