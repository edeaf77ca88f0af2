/** Serving's door: the HTTP server and the reader of feature vectors. */
export { Ask, MAX_ENTITIES, type Question } from './ask.ts';
export type { DefineFeature, Materialize, OnFailure } from './context.ts';
export type { Catalogs } from './definitions.ts';
export type { PushEvents } from './events_route.ts';
export type { Explain } from './explain_route.ts';
export { FeatureLog } from './feature_log.ts';
export { logVectors } from './logged_vector.ts';
export type { BringBack, PageCounter } from './pages.ts';
export type { DataRoots } from './paths.ts';
export { RequestIds } from './request_ids.ts';
export { buildServer, type ServerOptions } from './server.ts';
export { compileMembers, compileService, type ServiceProgram } from './service_program.ts';
export { type RequestRow, VectorReader, Vectors } from './vector.ts';
export { requestRow } from './vectors_route.ts';
