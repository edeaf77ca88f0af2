/** What a client may ask of a connection: sizes and times. Whoever stays within them notices none. */

/** Largest body of a request that is read into memory, in bytes. */
export const MAX_BODY_BYTES: number = 16 << 20;
/** Bodies that are being received, all together, in bytes. */
export const MAX_BODIES_BYTES: number = 256 << 20;
/** Shorter ones need no leave: they are bounded by the connections. */
export const SMALL_BODY_BYTES: number = 64 << 10;
/** Largest head of a request, in bytes: room for a list of some thousand features. */
const MAX_HEADER_BYTES = 128 << 10;
/** Connections of one process; those beyond are closed as they come. */
export const MAX_CONNECTIONS = 10_000;
/** After so many requests a connection is to be made anew: so that also those that live for long spread over workers that are new. */
export const MAX_REQUESTS_A_CONNECTION = 10_000;
/** How long a connection may be idle between requests, in milliseconds: longer than load balancers keep theirs. */
export const KEEP_ALIVE_MS = 72_000;
/** How long the head of a request may take from its first byte on. */
const HEADERS_MS = 15_000;
const LOOK_MS = 5_000;
/** In so long a body must have brought so much, or its sender is too slow. */
export const BODY_SLOT_MS = 10_000;
export const BODY_SLOT_BYTES: number = 10 << 10;
/** Answers from this length on are compressed where the client asks for it; shorter ones are sent sooner than compressed. */
export const COMPRESSED_FROM_BYTES: number = 16 << 10;

/** What Node is told of them. */
export const NODE_LIMITS = {
  maxHeaderSize: MAX_HEADER_BYTES,
  keepAliveTimeout: KEEP_ALIVE_MS,
  headersTimeout: HEADERS_MS,
  connectionsCheckingInterval: LOOK_MS,
  // Labels of a training set may take long to come. What counts is that they come: see bodies.ts.
  requestTimeout: 0,
};
