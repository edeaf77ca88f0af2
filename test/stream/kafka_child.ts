/** A member of a group in a process of its own, to be killed: `kafka_child.ts <broker> <topic> <group>`. */
import { cluster } from './kafka_fixture.ts';

const [broker, topic, group] = process.argv.slice(2) as [string, string, string];
const consumer = await cluster(broker).open().consume(topic, { group });
for (;;) {
  const event = await consumer.next();
  console.log(event?.type);
}
