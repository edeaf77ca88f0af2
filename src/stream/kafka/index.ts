/** Kafka as an event log. */
export { type KafkaOptions, openKafkaLog } from './log.ts';
export { type KafkaSecurity, kafkaSecurity } from './security.ts';
