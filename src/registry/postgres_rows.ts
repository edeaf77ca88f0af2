/** Rows of PostgreSQL as the registry's objects. */
import type { DefinitionKind } from '../model/definitions.ts';
import { definitionFromJson } from '../model/json.ts';
import type { Job, Registered, Revision } from './contract.ts';

export interface ObjectRow {
  readonly id: number;
  readonly kind: DefinitionKind;
  readonly name: string;
  readonly version: number;
  readonly fingerprint: string;
  readonly definition: string;
  readonly pins: string;
  readonly revision: number;
  readonly state: Registered['state'];
}

export interface RevisionRow {
  readonly number: number;
  readonly author: string;
  readonly at_us: number;
  readonly message: string;
  readonly changes: string;
}

export interface JobRow extends Pick<Job, 'id' | 'kind' | 'view' | 'version' | 'status'> {
  readonly started_us: number;
  readonly finished_us: number | null;
  readonly rows: number;
  readonly bytes: number;
  readonly error: string | null;
}

export function registeredOf(row: ObjectRow): Registered {
  const { kind, name, version, fingerprint, revision, state } = row;
  const definition = definitionFromJson(row.definition);
  return {
    kind,
    name,
    version,
    fingerprint,
    definition,
    pins: JSON.parse(row.pins),
    revision,
    state,
  };
}

export function revisionOf({ number, author, at_us, message, changes }: RevisionRow): Revision {
  return { number, author, atUs: at_us, message, changes: JSON.parse(changes) };
}

export function jobOf(row: JobRow): Job {
  const { id, kind, view, version, status, rows, bytes, error } = row;
  const [startedUs, finishedUs] = [row.started_us, row.finished_us];
  return { id, kind, view, version, status, startedUs, finishedUs, rows, bytes, error };
}
