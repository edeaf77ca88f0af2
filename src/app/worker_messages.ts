/** What the processes of one server say to each other: the parent that holds the port, and its children. */
import type { SamewiseError } from '../base/errors.ts';

/** What a child does: it answers requests, or has the duties that one process of a project has. */
export type WorkerRole = 'serve' | 'duties';

/** What a child starts with, as JSON in its only argument. */
export interface WorkerSetup {
  readonly projectDir: string;
  readonly role: WorkerRole;
  /** Listen only when warm: others answer meanwhile. */
  readonly warmFirst: boolean;
  /** Leave it to the child that has the duties to tell of them. */
  readonly tellsNoDuties: boolean;
}

/** Where a child that serves finds the socket that its parent has bound. */
export const SOCKET_FD = 4;

export type ToParent =
  /** It takes connections. */
  | { readonly type: 'listening' }
  /** It is warm. */
  | { readonly type: 'ready' }
  /** It could not start. */
  | { readonly type: 'failed'; readonly error: ReturnType<SamewiseError['toJSON']> }
  | { readonly type: 'metrics'; readonly id: number; readonly text: string }
  /** Said every second: its event loop turns. */
  | { readonly type: 'alive' }
  /** All that it counted, before it ends. */
  | { readonly type: 'counted'; readonly text: string }
  /** Asks for the metrics of all processes. */
  | { readonly type: 'gather'; readonly id: number };

export type ToChild =
  | { readonly type: 'metrics'; readonly id: number }
  | { readonly type: 'gathered'; readonly id: number; readonly text: string }
  /** Finish what was begun, and end. */
  | { readonly type: 'stop' };
