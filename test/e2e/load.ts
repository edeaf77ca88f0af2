/** A small load over connections that are kept alive, every answer of which is looked at. */
import { Agent, request } from 'node:http';

export interface Load {
  /** Requests that were answered as they should be. */
  right: number;
  readonly wrong: string[];
  /** Requests without an answer: why, and whether the connection had been used before. */
  readonly failed: { readonly code: string; readonly reused: boolean }[];
  /** Lets what is under way finish. */
  stop(): Promise<void>;
  /** Resolves when so many more requests have been answered. */
  more(count: number): Promise<void>;
}

/** One request, and what its answer is. */
export interface Asked {
  readonly path: string;
  /** Posted, if it is there. */
  readonly body?: string;
  readonly answer: string;
}

/** Asks in turn, over so many connections at once. A connection that could not be made is tried again. */
export function startLoad(url: string, asked: readonly Asked[], connections: number): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  let stopped = false;
  let next = 0;
  let wake = Promise.withResolvers<void>();
  const load: Load = {
    right: 0,
    wrong: [],
    failed: [],
    stop: async () => {
      stopped = true;
      await Promise.all(clients);
      agent.destroy();
    },
    more: async (count) => {
      const until = load.right + count;
      while (load.right < until) await wake.promise;
    },
  };
  const client = async () => {
    while (!stopped) {
      const one = asked[next++ % asked.length]!;
      try {
        const said = await ask(new URL(one.path, url), one.body, agent);
        if (said === one.answer) load.right++;
        else load.wrong.push(said);
      } catch (error) {
        const { code, reused } = error as { code: string; reused: boolean };
        load.failed.push({ code, reused });
      }
      wake.resolve();
      wake = Promise.withResolvers<void>();
    }
  };
  const clients = Array.from({ length: connections }, client);
  return load;
}

/** The text of an answer. Rejects with the code of what went wrong and whether the connection was an old one. */
export function ask(url: URL, body?: string, agent?: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request(url, {
      agent,
      method: body === undefined ? 'GET' : 'POST',
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
    });
    const fail = (error: NodeJS.ErrnoException) =>
      reject({ code: error.code ?? error.message, reused: asking.reusedSocket });
    asking.once('error', fail);
    asking.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.once('error', fail);
      response.once('end', () => resolve(Buffer.concat(chunks).toString()));
    });
    asking.end(body);
  });
}
