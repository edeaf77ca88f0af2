/**
 * `make bench`: runs every benchmark in a process of its own, one after the other, and writes docs/benchmarks.md.
 * Each benchmark prints progress to stderr and, as the last line of stdout, one JSON `BenchReport`.
 * `node bench/main.ts http timeline` runs only those, and replaces only their sections.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import type { BenchReport } from './report.ts';

const ALL = [
  'aggregate',
  'timeline',
  'training',
  'latest_join',
  'materialize',
  'pages',
  'http',
  'grpc',
  'feast',
  'online_redis',
  'python_client',
  'serve_soak',
  'registry',
  'stream',
  'stream_kafka',
  'stream_soak',
];
const asked = process.argv.slice(2);
const ROOT = join(import.meta.dirname, '..');
/** Reports of earlier runs on this machine, for sections that are not run now. */
const KEPT = join(ROOT, 'bench-out/reports');

/** A report, and when it was made. */
interface Kept {
  readonly report: BenchReport;
  readonly date: string;
}

mkdirSync(KEPT, { recursive: true });
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
  const report = JSON.parse(run.stdout.trimEnd().split('\n').at(-1)!) as BenchReport;
  const kept: Kept = { report, date: new Date().toISOString().slice(0, 10) };
  writeFileSync(join(KEPT, `${name}.json`), JSON.stringify(kept));
  process.stdout.write(printReport(kept));
}

const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
const head = `# Benchmarks

Written by \`make bench\` on a machine with ${machine}. It is shared and noisy: trust the ratios, each of which was measured in one
run, not the absolute figures. One benchmark alone: \`node bench/main.ts <name>\`.

`;
const sections = ALL.map((name) => join(KEPT, `${name}.json`))
  .filter((file) => existsSync(file))
  .map((file) => printReport(JSON.parse(readFileSync(file, 'utf8')) as Kept));
writeFileSync(join(ROOT, 'docs/benchmarks.md'), head + sections.join('\n'));

function printReport({ report, date }: Kept): string {
  const rows = report.rows.map(
    (r) =>
      `| ${r.what} | ${r.value} | ${r.target ?? ''} | ${r.met === undefined ? '' : r.met ? 'yes' : '**no**'} |`,
  );
  return `## ${report.title}

\`${report.command}\`, ${date}

${report.about}

| what | measured | target | met |
|---|---|---|---|
${rows.join('\n')}

`;
}
