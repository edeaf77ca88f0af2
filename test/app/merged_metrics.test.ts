/** Metrics of several processes as one text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeMetrics } from '../../src/app/merged_metrics.ts';

test('samples of a metric stand together, each with its process, and are described once', () => {
  const own = (count: number) =>
    '# HELP reads_total Reads\n# TYPE reads_total counter\n' +
    `reads_total ${count}\n` +
    '# HELP took Time\n# TYPE took histogram\n' +
    `took_bucket{le="1",route="/a{b}"} ${count}\ntook_sum{route="/a{b}"} 0.5\n`;
  assert.equal(
    mergeMetrics([
      { worker: '1', text: own(3) },
      { worker: '2', text: own(4) },
      { worker: 'duties', text: '' },
    ]),
    `# HELP reads_total Reads
# TYPE reads_total counter
reads_total{worker="1"} 3
reads_total{worker="2"} 4
# HELP took Time
# TYPE took histogram
took_bucket{worker="1",le="1",route="/a{b}"} 3
took_sum{worker="1",route="/a{b}"} 0.5
took_bucket{worker="2",le="1",route="/a{b}"} 4
took_sum{worker="2",route="/a{b}"} 0.5
`,
  );
});
