/** Tables of a real PostgreSQL that Debezium captures into a real Kafka. */

/** Has a connector capture a table, its rows first. The topic is there once it has written one. */
export async function capture(
  { connect, postgres }: { readonly connect: string; readonly postgres: string },
  table: string,
): Promise<{ readonly topic: string; remove(): Promise<void> }> {
  const prefix = `pg_${table}`;
  const config = {
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'database.hostname': '127.0.0.1',
    'database.port': new URL(postgres).port,
    'database.user': 'postgres',
    'database.dbname': 'postgres',
    'topic.prefix': prefix,
    'table.include.list': `public.${table}`,
    'plugin.name': 'pgoutput',
    'publication.name': table,
    'publication.autocreate.mode': 'filtered',
    'slot.name': table,
    'poll.interval.ms': '50',
    'retriable.restart.connector.wait.ms': '500',
    'topic.creation.default.replication.factor': '1',
    'topic.creation.default.partitions': '3',
  };
  const response = await fetch(`${connect}/connectors`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: table, config }),
  });
  if (!response.ok) throw new Error(await response.text());
  return {
    topic: `${prefix}.public.${table}`,
    remove: async () => void (await fetch(`${connect}/connectors/${table}`, { method: 'DELETE' })),
  };
}

/** Tries until it succeeds, for 20 s. */
export async function until<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 100; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
