/**
 * A second process at an embedded log. Roles:
 * `append <path> <topic> <name>`: appends batch after batch until it is killed; prints the number of each that resolved.
 * `fill <path> <topic>`: appends until the log refuses; prints the error's code and how many batches resolved.
 * `consume <path> <topic> <group>`: reads until it is killed; prints what it is assigned and how many records it got.
 */
import { systemClock } from '../../src/base/clock.ts';
import { SamewiseError } from '../../src/base/errors.ts';
import { openEmbeddedLog } from '../../src/stream/embedded/log.ts';
import { batchOf } from './embedded_batches.ts';

const [role, path, topic, name] = process.argv.slice(2) as [string, string, string, string];
const log = await openEmbeddedLog({ path, clock: systemClock, partitions: 2 });
const print = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);

if (role === 'append') {
  const append = async (batch: number) => {
    await log.append(topic, batchOf(name, batch));
    print(batch);
  };
  // Two at a time, in one commit or in two.
  for (let batch = 0; ; batch += 2) await Promise.all([append(batch), append(batch + 1)]);
} else if (role === 'fill') {
  let batch = 0;
  try {
    for (; ; batch++) await log.append(topic, batchOf('fill', batch));
  } catch (error) {
    print({ code: error instanceof SamewiseError ? error.code : String(error), batch });
  }
  await log.close();
} else {
  const consumer = await log.consume(topic, { group: name });
  for (;;) {
    const event = await consumer.next();
    if (event?.type === 'assigned') consumer.seek(event.partition, 0n);
    print(event?.type === 'records' ? event.records.length : event);
  }
}
