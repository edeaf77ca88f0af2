/** A network between a registry and its database that can be cut at the worst of moments. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Proxy {
  /** The database's URL, by way of this network. */
  readonly url: string;
  /** Ends the connection that sends a text: before the server has it, or after, so that its answer is lost. Once. */
  cutAt(text: string, when: 'before' | 'after'): void;
  /** Swallows everything, closes nothing. */
  swallow(on: boolean): void;
  close(): Promise<void>;
}

export async function openProxy(database: string): Promise<Proxy> {
  const target = new URL(database);
  const sockets = new Set<Socket>();
  let cut: { text: string; when: 'before' | 'after' } | null = null;
  let swallows = false;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', end).on('close', end);
      socket.on('close', () => sockets.delete(socket));
    }
    client.on('data', (data) => {
      if (swallows) return;
      if (cut === null || !data.includes(cut.text)) return void upstream.write(data);
      const { when } = cut;
      cut = null;
      if (when === 'before') return end();
      // The server answers, and nobody hears it.
      upstream.write(data);
      upstream.removeAllListeners('data').once('data', end);
    });
    upstream.on('data', (data) => {
      if (!swallows) client.write(data);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(database);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  // So that each statement passes as text.
  url.searchParams.set('prepare', 'false');
  return {
    url: url.href,
    cutAt: (text, when) => {
      cut = { text, when };
    },
    swallow: (on) => {
      swallows = on;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
