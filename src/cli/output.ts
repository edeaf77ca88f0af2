/** What a person or a script sees: tables that fit the terminal, JSON, progress, coded errors. */
import { styleText } from 'node:util';
import { Presets, SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import type { SamewiseError } from '../base/errors.ts';
import { formatCount } from '../base/numbers.ts';

export interface Output {
  readonly json: boolean;
  /** Prints the result: `value` as JSON under --json, else the text that `text` makes. */
  result(value: unknown, text: () => string): void;
  /** A line for people; silent under --json. */
  line(text: string): void;
  /** A line on stderr, for people and logs alike. */
  note(text: string): void;
  progress(label: string): ProgressLine;
}

/** Long work: a bar with rate and time left on a terminal, a plain line every few seconds elsewhere. */
export interface ProgressLine {
  update(rows: number, totalRows: number | null, phase?: string): void;
  done(): void;
}

type Stream = NodeJS.WriteStream;
type Style = Parameters<typeof styleText>[0];

/** Colours only on a terminal that takes them (and never with NO_COLOR). */
export function paint(style: Style, text: string, stream: Stream = process.stdout): string {
  return styleText(style, text, { stream });
}

/** `JSON.rawJSON` (ES2025), which TypeScript's library does not declare yet. */
const { rawJSON: rawJson } = JSON as unknown as { rawJSON(text: string): unknown };

/** bigint as bare digits where JSON can hold any; typed arrays as arrays. */
export function toJson(value: unknown): string {
  return JSON.stringify(
    value,
    (_, v) =>
      typeof v === 'bigint'
        ? rawJson(String(v))
        : v instanceof Float32Array
          ? Array.from(v)
          : v instanceof Uint8Array
            ? v.toBase64()
            : v,
    2,
  );
}

export function createOutput(json: boolean): Output {
  return {
    json,
    result: (value, text) => {
      process.stdout.write(json ? `${toJson(value)}\n` : `${text()}\n`);
    },
    line: (text) => {
      if (!json) process.stdout.write(`${text}\n`);
    },
    note: (text) => {
      process.stderr.write(`${text}\n`);
    },
    progress: (label) => (process.stderr.isTTY ? barProgress(label) : lineProgress(label)),
  };
}

/** Rows a second since the phase began; a new phase begins anew. */
function pace(): (rows: number, phase: string) => number {
  let current: string | null = null;
  let startedMs = 0;
  let startRows = 0;
  return (rows, phase) => {
    const nowMs = performance.now();
    if (phase !== current || rows < startRows) {
      [current, startedMs, startRows] = [phase, nowMs, rows];
      return 0;
    }
    return ((rows - startRows) / Math.max(nowMs - startedMs, 1)) * 1000;
  };
}

function barProgress(label: string): ProgressLine {
  const bar = new SingleBar(
    {
      format: `${label} {phase} {bar} {percentage}% | {rows} rows | {rate} rows/s | {left} left`,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 24,
      fps: 8,
    },
    Presets.shades_classic,
  );
  const rateOf = pace();
  let running = false;
  return {
    update: (rows, totalRows, phase = '') => {
      const rate = rateOf(rows, phase);
      const left =
        totalRows === null || rate === 0 ? '?' : duration(((totalRows - rows) / rate) * 1000);
      const payload = { rows: formatCount(rows), rate: formatCount(rate), left, phase };
      const total = totalRows ?? Math.max(rows, 1);
      if (running) {
        bar.setTotal(total);
        bar.update(rows, payload);
      } else bar.start(total, rows, payload);
      running = true;
    },
    done: () => {
      if (running) bar.stop();
    },
  };
}

function lineProgress(label: string): ProgressLine {
  const rateOf = pace();
  let next = performance.now() + LINE_EVERY_MS;
  return {
    update: (rows, totalRows, phase = '') => {
      const rate = rateOf(rows, phase);
      if (performance.now() < next) return;
      next = performance.now() + LINE_EVERY_MS;
      const of = totalRows === null ? '' : ` of ${formatCount(totalRows)}`;
      process.stderr.write(
        `${label}${phase ? ` ${phase}` : ''}: ${formatCount(rows)}${of} rows, ${formatCount(rate)} rows/s\n`,
      );
    },
    done: () => {},
  };
}

/** Where there is no terminal, progress is a line this often. */
const LINE_EVERY_MS = 5000;

/** No lines: easy on the eye, and easy to cut and paste. */
const PLAIN = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((place) => [place, '']),
);

/** A table that fits the terminal: the widest columns give way, cells wrap. */
export function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = rows.map((row) => row.map((cell) => printCell(cell)));
  const natural = head.map((title, i) =>
    Math.max(
      title.length,
      ...cells.map((row) => Math.max(...(row[i] ?? '').split('\n').map((l) => l.length))),
    ),
  );
  const width = process.stdout.isTTY ? (process.stdout.columns ?? 80) : 160;
  const room = width - 2 * head.length;
  const widths = [...natural];
  while (widths.reduce((a, b) => a + b, 0) > room && Math.max(...widths) > 8) {
    widths[widths.indexOf(Math.max(...widths))]!--;
  }
  const out = new Table({
    head: head.map((title) => paint('bold', title)),
    colWidths: widths.map((w) => w + 2),
    wordWrap: true,
    wrapOnWordBoundary: false,
    chars: PLAIN,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  });
  out.push(...cells);
  return out
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function printCell(cell: unknown): string {
  if (cell === null || cell === undefined) return '';
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'object') return toJson(cell).replace(/\s*\n\s*/g, ' ');
  return String(cell);
}

/** Milliseconds for people: 350 ms, 4.2 s, 3 min 5 s, 2 h 10 min, 5 d 3 h. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
  const hours = Math.floor(ms / 3_600_000);
  if (hours < 24) return `${hours} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** An error as people read it: what, where, what to do. No stack for a user's mistake. */
export function printError(error: SamewiseError): string {
  const where = Object.entries(error.where)
    .filter(([, v]) => v !== undefined)
    .map(([k, v]) => `${k} ${v}`)
    .join(', ');
  const lines = [
    `${paint(['red', 'bold'], 'error', process.stderr)} ${paint('bold', error.code, process.stderr)}: ${error.message}`,
  ];
  if (where) lines.push(`  where: ${where}`);
  if (error.hint) lines.push(`  hint:  ${error.hint}`);
  return lines.join('\n');
}
