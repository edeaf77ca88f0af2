/** Metrics of several processes as one text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeMetrics } from '../../src/app/merged_metrics.ts';

const own = (count: number, bytes: number) =>
  '# HELP reads_total Reads\n# TYPE reads_total counter\n' +
  `reads_total ${count}\nreads_total{status="NOT_FOUND"} 0.25\n` +
  '# HELP took Time\n# TYPE took histogram\n' +
  `took_bucket{le="1",route="/a{b}"} ${count}\ntook_bucket{le="+Inf",route="/a{b}"} ${count + 1}\n` +
  `took_sum{route="/a{b}"} 0.5\ntook_count{route="/a{b}"} ${count + 1}\n` +
  `# HELP kept_bytes Size\n# TYPE kept_bytes gauge\nkept_bytes ${bytes}\n`;

test('counters and histograms are added up, gauges say whose they are', () => {
  const duties =
    '# HELP lag_seconds Lag\n# TYPE lag_seconds gauge\nlag_seconds{source="a"} 2\n' +
    '# HELP process_open_fds Files\n# TYPE process_open_fds gauge\nprocess_open_fds 9\n';
  const merged = mergeMetrics([
    { worker: '1', text: own(3, 100) },
    { worker: '2', text: own(4, 200) },
    { worker: 'duties', text: duties },
    { worker: '3', text: '' },
  ]);
  assert.equal(
    merged,
    `# HELP reads_total Reads
# TYPE reads_total counter
reads_total 7
reads_total{status="NOT_FOUND"} 0.5
# HELP took Time
# TYPE took histogram
took_bucket{le="1",route="/a{b}"} 7
took_bucket{le="+Inf",route="/a{b}"} 9
took_sum{route="/a{b}"} 1
took_count{route="/a{b}"} 9
# HELP kept_bytes Size
# TYPE kept_bytes gauge
kept_bytes{worker="1"} 100
kept_bytes{worker="2"} 200
# HELP lag_seconds Lag
# TYPE lag_seconds gauge
lag_seconds{source="a"} 2
# HELP process_open_fds Files
# TYPE process_open_fds gauge
process_open_fds{worker="duties"} 9
`,
  );
});

test('what a process counted before it ended counts for ever, however many follow it', () => {
  let past = '';
  for (let i = 0; i < 3; i++)
    past = mergeMetrics([
      { worker: '', text: past, ended: true },
      { worker: '1', text: own(2, 50), ended: true },
    ]);
  const merged = mergeMetrics([
    { worker: '', text: past, ended: true },
    { worker: '1', text: own(1, 70) },
  ]);
  assert.match(merged, /^reads_total 7$/m);
  assert.match(merged, /^took_count\{route="\/a\{b\}"\} 11$/m);
  assert.deepEqual(merged.match(/^kept_bytes.*$/gm), ['kept_bytes{worker="1"} 70']);
});
