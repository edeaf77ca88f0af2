/** What workers tell of themselves becomes totals, rates of the last seconds, and series of features. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { App } from '../../src/app/open.ts';
import { StreamMeter } from '../../src/app/stream_meter.ts';
import { streamMetrics } from '../../src/app/stream_metrics.ts';
import { manualClock } from '../../src/base/clock.ts';
import { compileView } from '../../src/model/index.ts';
import { catalogAt } from '../../src/plan/index.ts';
import { type Project, paymentsProject } from './project.ts';

let here: Project;
let app: App;
before(async () => {
  here = await paymentsProject(1, 1);
  app = await here.open();
});
after(async () => {
  await app.close();
  here.remove();
});

const place = { source: 'payments', partition: '0' };
const seconds = (n: number) => n * 1e6;

test('totals stay, rates forget after ten seconds', () => {
  const clock = manualClock(seconds(1_000));
  const meter = new StreamMeter(clock);
  const read = { ...place, records: 101, rows: 100, late: 2, dead: 1, lag: 40n };
  meter.read(read);
  clock.advanceUs(seconds(5));
  meter.read({ ...read, lag: 7n });
  const of = meter.sources.get('payments')!;
  assert.deepEqual([of.records, of.rows, of.late, of.dead, of.lag.get('0')], [202, 200, 4, 2, 7n]);
  assert.equal(of.recent.rate, 20);
  assert.equal(of.recent.errorRate, 2 / 202);
  clock.advanceUs(seconds(6));
  assert.equal(of.recent.rate, 10);
  clock.advanceUs(seconds(60));
  assert.deepEqual([of.recent.rate, of.recent.errorRate, of.rows], [0, 0, 200]);
  meter.revoked(place);
  assert.equal(of.lag.size, 0);
});

test('each feature of a view is a series of its own', async () => {
  const clock = manualClock(seconds(1_000));
  const meter = new StreamMeter(clock);
  const catalog = catalogAt(await app.registry.load(), { kind: 'featureView', name: 'spending' });
  const { id } = compileView(catalog, 'spending');
  const batch = { ...place, view: 'spending', viewId: id, rows: 3, keys: 2, keyless: 0 };
  const at = { newestUs: seconds(900), arrivalUs: seconds(999), appliedUs: seconds(999.25) };
  meter.applied({ ...batch, ...at });
  meter.read({ ...place, records: 4, rows: 3, late: 0, dead: 1, lag: 0n });
  const text = await streamMetrics(meter, app.registry)();
  const labels = (name: string) =>
    `{feature_name="${name}",feature_view="spending",source="payments"}`;
  for (const name of ['n', 'mean']) {
    assert.ok(text.includes(`feature_ingestion_lag_seconds${labels(name)} 0.25\n`), text);
    assert.ok(text.includes(`feature_newest_event_timestamp_seconds${labels(name)} 900\n`));
    assert.ok(text.includes(`feature_update_error_rate${labels(name)} 0.25\n`));
  }
  assert.ok(text.includes('samewise_stream_dead_letters_total{source="payments"} 1\n'));
});
