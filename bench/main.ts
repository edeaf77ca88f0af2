/**
 * `make bench`: runs every benchmark in a process of its own, one after the other, and writes docs/benchmarks.md.
 * Each benchmark prints progress to stderr and, as the last line of stdout, one JSON `BenchReport`.
 * `node bench/main.ts http timeline` runs only those and prints them without touching the document.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import type { BenchReport } from './report.ts';

const ALL = ['aggregate', 'timeline', 'training', 'latest_join', 'materialize', 'http', 'registry'];
const asked = process.argv.slice(2);
const reports: BenchReport[] = [];

for (const name of asked.length > 0 ? asked : ALL) {
  process.stderr.write(`\n== ${name}\n`);
  const run = spawnSync(process.execPath, [join(import.meta.dirname, `${name}.ts`)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (run.status !== 0) {
    process.stderr.write(`${name} failed with exit code ${run.status}\n`);
    process.exitCode = 1;
    continue;
  }
  reports.push(JSON.parse(run.stdout.trimEnd().split('\n').at(-1)!) as BenchReport);
}

const text = reports.map(printReport).join('\n');
process.stdout.write(text);
if (asked.length === 0 && process.exitCode === undefined) {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
  const head = `# Benchmarks

Written by \`make bench\` on ${new Date().toISOString().slice(0, 10)}: ${machine}. The machine is shared and noisy: trust the ratios,
each of which was measured in one run, not the absolute figures. One benchmark alone: \`node bench/<name>.ts\`.

`;
  writeFileSync(join(import.meta.dirname, '../docs/benchmarks.md'), head + text);
}

function printReport(report: BenchReport): string {
  const rows = report.rows.map(
    (r) =>
      `| ${r.what} | ${r.value} | ${r.target ?? ''} | ${r.met === undefined ? '' : r.met ? 'yes' : '**no**'} |`,
  );
  return `## ${report.title}

\`${report.command}\`

${report.about}

| what | measured | target | met |
|---|---|---|---|
${rows.join('\n')}

`;
}
