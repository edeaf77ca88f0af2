/** `POST /api/v1/events/{source}`: events into the log of a source. */
import type { FastifyInstance } from 'fastify';
import type { Context } from './context.ts';
import { EVENT_TYPES, type EventsQuery, eventsSchema } from './schemas.ts';

/** Events as they came; nothing of them is known yet. */
export interface PushedBody {
  readonly source: string;
  readonly contentType: string;
  readonly body: Uint8Array;
  /** Answer when the events are durable, or when reads see them; null: as the source says. */
  readonly wait: 'durable' | 'applied' | null;
}

/** How many events were taken, and how far they are. */
export interface PushedAnswer {
  readonly source: string;
  readonly rows: number;
  readonly state: 'durable' | 'applied';
}

/** Checks all events of a body, then appends them all to the source's log: all or none. */
export type PushEvents = (request: PushedBody) => Promise<PushedAnswer>;

export function eventsRoute(app: FastifyInstance, { pushEvents }: Context): void {
  // In a scope of its own: here a body stays bytes, which only the source can read.
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      [...EVENT_TYPES],
      { parseAs: 'buffer' },
      async (_: unknown, body: Buffer) => body,
    );
    scope.post<{ Params: { source: string }; Querystring: EventsQuery; Body: Buffer }>(
      '/api/v1/events/:source',
      { schema: eventsSchema },
      async ({ body, headers, params, query }, reply) => {
        const [contentType] = headers['content-type']!.split(';');
        const { source } = params;
        const wait = query.wait ?? null;
        const pushed = await pushEvents({ source, contentType: contentType!.trim(), body, wait });
        return reply.code(pushed.state === 'applied' ? 200 : 202).send(pushed);
      },
    );
  });
}
