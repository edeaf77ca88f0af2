/** The HTTP server, wired to the app's stores. */
import { mkdirSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { SamewiseError } from '../base/errors.ts';
import { catalogAt, currentCatalog } from '../plan/index.ts';
import { buildServer } from '../serving/index.ts';
import { featureDefiner } from './define.ts';
import type { App } from './open.ts';

/** Where the server listens, once it does. */
export interface Listening {
  readonly url: string;
  /** Lets requests in flight finish; the app's stores stay open. */
  close(): Promise<void>;
}

/** Starts the server. Throws `app/cannot-listen`. Failures behind a 5xx go to `onFailure`; clients are told only that there was one. */
export async function startServer(
  app: App,
  options: {
    readonly host: string;
    readonly port: number;
    readonly version: string;
    readonly onFailure: (error: unknown, request: { method: string; url: string }) => void;
  },
): Promise<Listening> {
  const outputDir = join(app.config.stateDir, 'output');
  mkdirSync(outputDir, { recursive: true });
  const server = await buildServer({
    registry: app.registry,
    online: app.online,
    offline: app.offline,
    clock: app.clock,
    catalogs: {
      current: currentCatalog,
      ofService: (registered, name, version) =>
        catalogAt(registered, { kind: 'featureService', name, version }),
    },
    defineFeature: featureDefiner(app),
    data: { roots: [app.config.projectDir], realPath: (path) => realpath(path) },
    outputDir,
    version: options.version,
    onFailure: options.onFailure,
  });
  const url = await server.listen({ host: options.host, port: options.port }).catch((cause) => {
    throw new SamewiseError(
      'app/cannot-listen',
      `cannot listen on ${options.host}:${options.port}: ${cause.message}`,
      {
        hint: 'choose a port that is free with --port (0 takes any), and an address of this machine',
        cause,
      },
    );
  });
  return {
    url,
    close: async () => {
      // A connection that is kept alive after the request in flight would hold up the end for as long as it may be idle.
      const sweep = setInterval(() => server.server.closeIdleConnections(), 20);
      await server.close().finally(() => clearInterval(sweep));
    },
  };
}
