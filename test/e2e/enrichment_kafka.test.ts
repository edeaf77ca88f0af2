/** Purchases that look users and cards up, on a real Kafka: stamps of many clocks, partitions, workers that are killed. */
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Cluster, cluster } from '../stream/kafka_fixture.ts';
import { ownServer } from '../stream/servers.ts';
import { type Purchases, purchasesIn } from './purchases.ts';
import { json, start, temporary } from './support.ts';

const broker = await ownServer('kafka');
const PARTITIONS = 2;

describe('purchases on Kafka', { skip: broker.skip }, () => {
  const { folder, remove } = temporary();
  let kafka: Cluster;
  let world: Purchases;
  before(async () => {
    kafka = cluster(broker.at);
    const settings = { 'message.timestamp.type': 'LogAppendTime' };
    const topics = {
      users: await kafka.topic(PARTITIONS, settings),
      cards: await kafka.topic(PARTITIONS, settings),
      purchases: await kafka.topic(PARTITIONS, settings),
    };
    const project = join(folder, 'project');
    world = await purchasesIn(project, { stream: `kafka:${broker.at}` }, topics);
  });
  after(async () => {
    await world.app.close();
    await kafka.close();
    await broker.down();
    remove();
  });

  test('workers that are killed leave what a fold over history says', async () => {
    const { project, begun, pushSome, check } = world;
    const workers = [start(project, ['stream', 'run']), start(project, ['stream', 'run'])];
    await begun();
    await pushSome(60);
    workers[0]!.kill('SIGKILL');
    await pushSome(60);
    workers[1]!.kill('SIGKILL');
    await json(project, 'stream', 'run', '--catch-up');
    await check();
  });
});
