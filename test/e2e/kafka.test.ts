/**
 * A project on a real Kafka as its users run it: workers that are killed again and again and a broker that is killed once, while
 * events come in repeated, out of order and spoilt. Afterwards pages, history, training and a naive fold agree on every value.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Producer } from '@platformatic/kafka';
import { formatInstant, parseInstant, US_PER_DAY, US_PER_SECOND } from '../../src/base/time.ts';
import type { EventLog, LogRecord } from '../../src/stream/contract.ts';
import { countOf, readUntil, record, textOf } from '../conformance/event_log_fixture.ts';
import { type Cluster, cluster } from '../stream/kafka_fixture.ts';
import { ownServer } from '../stream/servers.ts';
import { cases } from '../support/cases.ts';
import {
  edit,
  finished,
  json,
  type Ran,
  scaffolded,
  sql,
  start,
  startServer,
  temporary,
} from './support.ts';

const broker = await ownServer('kafka');
const PARTITIONS = 4;
const WORKERS = 3;
const CUSTOMERS = 40;
/** How long workers are killed, and how often. */
const STORM_MS = cases(12_000);
const KILL_MS = 2_000;
/** A process listens to signals after this. */
const START_MS = 3_000;
const EVENTS_A_ROUND = 500;
const FROM_US = parseInstant('2024-04-10');
const SPAN_US = 10 * US_PER_DAY;

/** Park & Miller's generator: a failure can be run again. */
let state = 20_260_301;
function random(below: number): number {
  state = (state * 48_271) % 2_147_483_647;
  return state % below;
}

interface Event {
  readonly tx_id: number;
  readonly atUs: number;
  readonly customer_id: number;
  /** Quarters: their sums are exact in any order. */
  readonly amount: number;
}

const utf8 = new TextEncoder();
const lineOf = ({ tx_id, atUs, customer_id, amount }: Event) =>
  JSON.stringify({ tx_id, at: formatInstant(atUs), customer_id, amount });

describe('a project on Kafka', { skip: broker.skip }, () => {
  const { folder, remove } = temporary();
  let project: string;
  let kafka: Cluster;
  let log: EventLog;
  let topic: string;
  /** By id. Each has a time of its own, so that their order is beyond doubt. */
  const events = new Map<number, Event>();
  /** Texts that nobody can take as events, with the code that says why. */
  const spoilt = new Map<string, string>();
  /** What is in the topic, by partition: also what the producer sent twice without knowing. */
  let delivered: Map<string, LogRecord[]>;

  before(async () => {
    kafka = cluster(broker.at);
    log = kafka.open({ limitMs: 60_000 });
    topic = await kafka.topic(PARTITIONS);
    project = await scaffolded(folder, false);
    writeFileSync(
      join(project, 'samewise.config.json'),
      JSON.stringify({ definitions: 'features.ts', stream: `kafka:${broker.at}` }),
    );
    edit(project, 'features.ts', 'source, timestamp', 'source, stream, timestamp');
    edit(
      project,
      'features.ts',
      "lateness: '1h'",
      `lateness: '1d', stream: stream({ topic: '${topic}' })`,
    );
    await json(project, 'apply', '--yes');
    await json(project, 'materialize');
  });
  after(async () => {
    await kafka.close();
    await broker.down();
    remove();
  });

  /** Some events, mostly in the order of their times, up to half a day out of order; and what is wrong with some of them. */
  const produce = async (round: number, rounds: number) => {
    const lines: { key: number; line: string }[] = [];
    for (let i = 0; i < EVENTS_A_ROUND; i++) {
      const tx_id = 100_000 + events.size;
      const dueUs = FROM_US + wholeSeconds((SPAN_US / rounds) * (round + i / EVENTS_A_ROUND));
      const event: Event = {
        tx_id,
        // The last digits are those of the id: no two events happen at one time.
        atUs: dueUs - random(43_200) * US_PER_SECOND + (tx_id % US_PER_SECOND),
        customer_id: 1 + random(CUSTOMERS),
        amount: random(4_000) / 4,
      };
      events.set(tx_id, event);
      const sent = { key: event.customer_id, line: lineOf(event) };
      lines.push(sent);
      if (random(10) === 0) lines.splice(random(lines.length + 1), 0, sent);
      if (random(50) === 0) {
        const [line, code] = spoil(event, random(3));
        spoilt.set(line, code);
        lines.push({ key: event.customer_id, line });
      }
    }
    await log.append(
      topic,
      lines.map(({ key, line }) => record(String(key), line)),
    );
  };

  test('workers and the broker are killed while events come in', async () => {
    const workers = new Set<ChildProcess>();
    const ends: Promise<Ran>[] = [];
    const begin = () => {
      const worker = start(project, ['stream', 'run', '--json']);
      workers.add(worker);
      ends.push(finished(worker));
    };
    for (let i = 0; i < WORKERS; i++) begin();
    const over = Date.now() + STORM_MS;
    let kills = 0;
    const killing = (async () => {
      while (Date.now() < over) {
        await pause(KILL_MS / 2 + random(KILL_MS));
        // Often the oldest one, so that none lives for ever.
        const victim = [...workers][Math.max(0, random(2 * workers.size) - workers.size)]!;
        victim.kill('SIGKILL');
        workers.delete(victim);
        kills++;
        begin();
      }
    })();
    const crashing = pause(STORM_MS / 3).then(async () => {
      await broker.crash();
      await broker.up();
    });
    const rounds = cases(30);
    for (let round = 0; round < rounds; round++) {
      await produce(round, rounds);
      await pause(Math.max(0, over - Date.now()) / (rounds - round));
    }
    await Promise.all([killing, crashing]);
    assert.ok(kills >= 3, `${kills} kills`);
    // One that has not begun to listen would just die. Those that are left finish what they hold.
    await pause(START_MS);
    for (const worker of workers) worker.kill('SIGTERM');
    for (const ended of ends) {
      const { code, signal, stderr } = await ended;
      assert.ok(signal === 'SIGKILL' || code === 0, `${signal ?? code}: ${stderr}`);
    }
    assert.equal((await Promise.all(ends)).filter(({ code }) => code === 0).length, WORKERS);
  });

  test('what transactions leave behind in the topic is nothing to catch up with', async () => {
    const producer = new Producer<Buffer, Buffer, Buffer, Buffer>({
      clientId: 'test',
      bootstrapBrokers: [broker.at],
      transactionalId: topic,
      idempotent: true,
      retries: 200,
      retryDelay: 10,
    });
    for (const commits of [false, true, false]) {
      const transaction = await producer.beginTransaction();
      const messages = Array.from({ length: PARTITIONS }, (_, partition) => {
        const tx_id = 100_000 + events.size;
        const atUs = FROM_US + SPAN_US + (tx_id % US_PER_SECOND);
        const event = { tx_id, atUs, customer_id: 1 + partition, amount: 1 };
        if (commits) events.set(tx_id, event);
        const line = lineOf({ ...event, amount: commits ? 1 : 1_000_000 });
        return { topic, partition, key: Buffer.from('t'), value: Buffer.from(utf8.encode(line)) };
      });
      await transaction.send({ messages });
      await (commits ? transaction.commit() : transaction.abort());
    }
    await producer.close(true);
    await json(project, 'stream', 'run', '--catch-up');
    const [status] = await json(project, 'status');
    assert.deepEqual(
      [status.partitions.map((p: any) => p.historyLag), status.views.map((v: any) => v.lag)],
      [[0, 0, 0, 0], [0]],
    );
  });

  test('every delivery is in history once, or a dead letter once', async () => {
    const ends = await log.ends(topic);
    const consumer = await log.consume(topic, { group: 'test' });
    delivered = await readUntil(consumer, (so) =>
      [...ends].every(([p, { next }]) => so.get(p)?.at(-1)?.position === next - 1n),
    );
    await consumer.close();
    const good: string[] = [];
    const bad: string[] = [];
    for (const [partition, records] of delivered)
      for (const one of records) {
        const code = spoilt.get(textOf(one)!);
        if (code === undefined) good.push(`${partition} ${one.position} ${idOf(one)}`);
        else bad.push(`${partition} ${one.position} ${code}`);
      }
    assert.ok(countOf(delivered) > events.size + spoilt.size && bad.length >= spoilt.size);
    const files = historyFiles(join(project, '.samewise/history/transactions'));
    const rows = await sql(
      `select __partition as p, __position as n, tx_id from read_parquet([${files.map((file) => `'${file}'`)}])`,
    );
    const state = await json(project, 'status');
    assert.equal(
      state[0].partitions.reduce((sum: number, { history }: any) => sum + history.rows, 0),
      good.length,
    );
    sameLines(
      rows.map(({ p, n, tx_id }) => `${p} ${n} ${tx_id}`),
      good,
    );
    const letters = await json(
      project,
      'stream',
      'dead-letters',
      'transactions',
      '--limit',
      '99999',
    );
    sameLines(
      letters.map((letter: any) => `${letter.partition} ${letter.position} ${letter.code}`),
      bad,
    );
    // Nothing is lost, nothing is made up.
    const ids = new Set(good.map((line) => line.split(' ')[2]!));
    sameLines([...ids], [...events.keys()].map(String));
  });

  test('online = training = a naive fold, and there is nothing to reconcile', async () => {
    const found = await json(project, 'reconcile');
    assert.deepEqual(
      found.map((view: any) => [view.differentKeys, view.keys >= CUSTOMERS]),
      [[0, true]],
    );
    const asked = Array.from({ length: 120 }, () => ({
      customer_id: 1 + random(CUSTOMERS),
      // Some at the very time of an event, which is not before itself.
      atUs:
        random(3) === 0
          ? events.get(100_000 + random(events.size))!.atUs
          : FROM_US + random(SPAN_US / US_PER_SECOND) * US_PER_SECOND,
    }));
    writeFileSync(
      join(project, 'asked.csv'),
      `n,customer_id,at,amount\n${asked.map((a, n) => `${n},${a.customer_id},${formatInstant(a.atUs)},10\n`).join('')}`,
    );
    const labels = ['--labels', 'asked.csv', '--time', 'at', '--out', 'trained.parquet'];
    await json(project, 'train', '--service', 'fraud_v1', ...labels);
    const trained = await sql(`select * from '${project}/trained.parquet' order by n`);
    const server = await startServer(project);
    let windows = 0;
    for (const [n, { customer_id, atUs }] of asked.entries()) {
      const expected = naive(customer_id, atUs);
      const answer = await server.post('/api/v1/services/fraud_v1/vectors', {
        entities: [{ customer_id, amount: 10 }],
        at: formatInstant(atUs),
      });
      const [online] = answer.body.vectors;
      const row = trained[n]!;
      for (const [name, value] of Object.entries(expected)) {
        const said = `${name} of ${customer_id} at ${formatInstant(atUs)}`;
        const [training, served] = [plain(row[name]), plain(online[name])];
        assert.ok(same(training, value), `${said}: trained ${training}, naive ${value}`);
        assert.ok(same(served, value), `${said}: online ${served}, naive ${value}`);
      }
      if (expected.tx_count_1d > 0) windows++;
    }
    assert.ok(windows > 60, 'most have something to count');
    await server.stop();
    const proof = await json(project, 'verify', 'trained.parquet.manifest.json', '--online', '120');
    assert.deepEqual([proof.online.rows, proof.online.mismatches], [120, []]);
  });

  test('SIGTERM lets a worker finish what it holds', async () => {
    const worker = start(project, ['stream', 'run', '--json']);
    const ended = finished(worker);
    const before = (await pagesAndHistory()).pages;
    await produce(1, 1);
    // In pages at once, into history every few seconds.
    for (let tries = 0; (await pagesAndHistory()).pages === before; tries++)
      assert.ok(tries < 60, 'it is applied');
    worker.kill('SIGTERM');
    const { code, stderr } = await ended;
    assert.equal(code, 0, stderr);
    const { pages, history } = await pagesAndHistory();
    assert.ok(pages > before);
    assert.equal(history, pages, 'history has what pages have');
  });

  /** How many positions each sink has taken. */
  const pagesAndHistory = async () => {
    const [{ partitions, views }] = await json(project, 'status');
    const sum = (of: (partition: any) => number) =>
      partitions.reduce((total: number, partition: any) => total + of(partition), 0);
    const all = sum(({ next }) => next);
    return { pages: all - views[0].lag, history: all - sum(({ historyLag }) => historyLag) };
  };

  /** What the view's features are, by all events that were acknowledged. */
  const naive = (customer: number, atUs: number) => {
    const seen = [...events.values()]
      .filter((event) => event.customer_id === customer && event.atUs < atUs)
      .sort((a, b) => a.atUs - b.atUs);
    const since = (days: number) => seen.filter((event) => event.atUs >= atUs - days * US_PER_DAY);
    const week = since(7);
    return {
      tx_count_1d: since(1).length,
      avg_amount_7d:
        week.length === 0 ? null : week.reduce((sum, { amount }) => sum + amount, 0) / week.length,
      last_5_amounts: since(30)
        .slice(-5)
        .map(({ amount }) => amount),
    };
  };
});

/** A text that is no event, and the code of the reason. */
function spoil(event: Event, how: number): [line: string, code: string] {
  const line = lineOf(event);
  if (how === 0) return [line.slice(0, -3), 'stream/bad-json'];
  if (how === 1)
    return [line.replace(/"at":"[^"]*"/, '"at":"2200-01-01T00:00:00Z"'), 'stream/too-far-ahead'];
  return [line.replace(/"amount":.*}/, '"amount":"much"}'), 'types/wrong-type'];
}

function wholeSeconds(us: number): number {
  return Math.floor(us / US_PER_SECOND) * US_PER_SECOND;
}

function idOf(one: LogRecord): number {
  return JSON.parse(textOf(one)!).tx_id;
}

/** The files that the last manifest names: others are what a killed worker left behind, or was merged. */
function historyFiles(folder: string): string[] {
  const manifests = readdirSync(join(folder, 'manifest')).map(
    (name) => JSON.parse(readFileSync(join(folder, 'manifest', name), 'utf8')).history,
  );
  const last = manifests.reduce((a, b) => (a.number > b.number ? a : b));
  return last.files.map(({ path }: { path: string }) => join(folder, path));
}

/** The same lines in any order; of very many the first that differs is told. */
function sameLines(found: readonly string[], expected: readonly string[]): void {
  const [a, b] = [found.toSorted(), expected.toSorted()];
  const i = a.findIndex((line, n) => line !== b[n]);
  if (i >= 0) assert.equal(a[i], b[i]);
  assert.equal(a.length, b.length);
}

function same(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
  return Object.is(a, b);
}

/** A value of DuckDB as JSON has it. */
function plain(value: any): unknown {
  if (Array.isArray(value?.items)) return value.items;
  return typeof value === 'bigint' ? Number(value) : value;
}
