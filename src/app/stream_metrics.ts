/** What workers have done, for Prometheus. */
import { Gauge, Registry as PromRegistry } from 'prom-client';
import type { FeatureView } from '../model/index.ts';
import { pagesIdAt } from '../plan/index.ts';
import type { Registry } from '../registry/contract.ts';
import type { SourceMeter, StreamMeter, ViewMeter } from './stream_meter.ts';

/** The meter in Prometheus' text format. Each feature is a series of its own, as dashboards of features want it. */
export function streamMetrics(meter: StreamMeter, definitions: Registry): () => Promise<string> {
  const registry = new PromRegistry();
  const registers = [registry];
  let head = -1;
  let features = new Map<string, readonly string[]>();
  const featuresOf = (viewId: string) => features.get(viewId) ?? [];
  const follow = async () => {
    const now = await definitions.head();
    if (now === head) return;
    const registered = await definitions.load();
    const views = registered.filter(({ kind }) => kind === 'featureView');
    features = new Map(
      views.map((view) => [
        pagesIdAt(registered, view),
        (view.definition as FeatureView).features.map(({ name }) => name),
      ]),
    );
    head = now;
  };
  const bySource = (name: string, help: string, value: (of: SourceMeter) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['source'],
      registers,
      collect() {
        this.reset();
        for (const [source, of] of meter.sources) this.set({ source }, value(of));
      },
    });
  const byFeature = (name: string, help: string, value: (of: ViewMeter) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['feature_name', 'feature_view', 'source'],
      registers,
      collect() {
        this.reset();
        for (const [viewId, of] of meter.views)
          for (const feature_name of featuresOf(viewId))
            this.set({ feature_name, feature_view: of.view, source: of.source }, value(of));
      },
    });
  byFeature(
    'feature_ingestion_lag_seconds',
    'From the arrival of the newest event to its being in the online features',
    ({ lag_ms }) => lag_ms / 1000,
  );
  byFeature(
    'feature_update_error_rate',
    'Share of the events of the last ten seconds that could not be applied',
    ({ source, recent }) => {
      const own = recent.errorRate;
      return Math.max(own, meter.sources.get(source)?.recent.errorRate ?? 0);
    },
  );
  byFeature(
    'feature_newest_event_timestamp_seconds',
    'When the newest event in the online features happened',
    ({ newestUs }) => (newestUs ?? 0) / 1e6,
  );
  const total = (what: string) => `samewise_stream_${what}`;
  bySource(total('records_total'), 'Records read from the log', ({ records }) => records);
  bySource(total('late_events_total'), 'Events that came later than allowed', ({ late }) => late);
  bySource(total('dead_letters_total'), 'Records that could not be read', ({ dead }) => dead);
  bySource(total('retries_total'), 'Tries that failed', ({ retries }) => retries);
  bySource(total('history_rows_total'), 'Events in history', ({ committed }) => committed);
  bySource(total('lag_records'), 'Records of the log that are not read yet', ({ lag }) =>
    Number([...lag.values()].reduce((sum, one) => sum + one, 0n)),
  );
  new Gauge({
    name: 'samewise_evicted_keys_total',
    help: 'Idle keys that have left the online store',
    labelNames: ['feature_view'],
    registers,
    collect() {
      for (const [feature_view, keys] of meter.evictions) this.set({ feature_view }, keys);
    },
  });
  return async () => {
    await follow();
    return registry.metrics();
  };
}
