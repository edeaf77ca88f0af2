/**
 * Validation of a catalog: everything that the types of the language catch at compile time, and what they cannot.
 * Definitions also come from the registry, from REST and from plain JavaScript, so this is the gate, not the types.
 */
import type { Where } from '../base/errors.ts';
import { isKeyable, printDtype } from '../types/dtype.ts';
import { suggestion } from './catalog.ts';
import type { Catalog, Entity, Source } from './definitions.ts';
import { canBeEventId } from './event_id.ts';
import { MAX_COLUMNS, MAX_KEY_COLUMNS } from './limits.ts';
import { Problems } from './problems.ts';
import { rowSchemaOf } from './source_columns.ts';
import { checkFallbacks } from './validate_fallbacks.ts';
import { checkLookups } from './validate_lookups.ts';
import { checkService } from './validate_members.ts';
import { checkColumns } from './validate_names.ts';
import { checkOnDemandView } from './validate_on_demand.ts';
import { checkFeatureView } from './validate_view.ts';

/** Throws all that is wrong with a catalog in one coded error (see `problemsOf`); each problem says where it is. */
export function validateCatalog(catalog: Catalog): void {
  const problems = new Problems();
  for (const entity of Object.values(catalog.entities)) checkEntity(problems, entity);
  for (const source of Object.values(catalog.sources)) checkSource(problems, source, catalog);
  for (const view of Object.values(catalog.featureViews)) checkFeatureView(problems, view, catalog);
  // What is built on something broken would only repeat what is wrong with that: one floor at a time.
  problems.throwIfAny();
  checkFallbacks(problems, catalog);
  problems.throwIfAny();
  for (const view of Object.values(catalog.onDemandViews))
    checkOnDemandView(problems, view, catalog);
  problems.throwIfAny();
  for (const service of Object.values(catalog.featureServices))
    checkService(problems, service, catalog);
  problems.throwIfAny();
}

function checkEntity(problems: Problems, entity: Entity): void {
  const where = { entity: entity.name };
  checkColumns(problems, entity.key, where, 'key', MAX_KEY_COLUMNS);
  for (const { name, dtype } of entity.key) {
    if (isKeyable(dtype)) continue;
    problems.add(
      'model/bad-key',
      `the key column ${name} is a ${printDtype(dtype)}, whose equality is not exact`,
      { ...where, field: `key.${name}` },
      'use a whole number, string, bytes, bool, date or timestamp',
    );
  }
}

function checkSource(problems: Problems, source: Source, catalog: Catalog): void {
  const where = { source: source.name };
  checkColumns(problems, rowSchemaOf(source), where, 'columns', MAX_COLUMNS);
  checkLookups(problems, source, catalog);
  if (source.eventTime === null || source.eventTime === undefined) {
    problems.add(
      'model/no-event-time',
      'the source does not say when its events happen',
      { ...where, field: 'eventTime' },
      'name a timestamp or date column: eventTime: "at"',
    );
  } else checkRole(problems, source, 'eventTime', ['timestamp', 'date']);
  checkRole(problems, source, 'arrivalTime', ['timestamp']);
  checkRole(problems, source, 'op', ['string']);
  const id = source.columns.find(({ name }) => name === source.eventId);
  if (source.eventId !== null && id === undefined) checkRole(problems, source, 'eventId', []);
  else if (id !== undefined && !canBeEventId(id.dtype)) {
    problems.add(
      'model/bad-event-id',
      `the event id ${id.name} is a ${printDtype(id.dtype)}`,
      { ...where, field: 'eventId', column: id.name },
      'use a whole number, string, bytes, date or timestamp',
    );
  }
  if (source.mutable && source.eventId === null) {
    problems.add(
      'model/mutable-without-id',
      'a mutable source must say which column identifies a row',
      { ...where, field: 'eventId' },
      'name the primary key column: eventId: "id"',
    );
  }
  if (!(Number.isSafeInteger(source.latenessUs) && source.latenessUs >= 0)) {
    problems.add(
      'model/bad-duration',
      `the lateness is ${source.latenessUs} µs; it must be a whole number from 0`,
      { ...where, field: 'lateness' },
    );
  }
  const { topic, format, message, maxAheadUs } = source.stream;
  if (!(Number.isSafeInteger(maxAheadUs) && maxAheadUs >= 0)) {
    problems.add(
      'model/bad-duration',
      `events may be ${maxAheadUs} µs ahead; it must be a whole number from 0`,
      { ...where, field: 'stream.maxAhead' },
    );
  }
  if (topic !== null && topic.trim() === '')
    problems.add('model/bad-stream', 'the topic is empty', { ...where, field: 'stream.topic' });
  if ((message !== null) !== (format === 'protobuf')) {
    problems.add(
      'model/bad-stream',
      format === 'protobuf'
        ? 'a stream of Protobuf needs the name of its message type'
        : `a message type belongs to Protobuf, not to ${format}`,
      { ...where, field: 'stream.message' },
      "write format: 'protobuf', message: 'package.Message'",
    );
  }
  const location = source.batch;
  if (location !== null && (location.type === 'query' ? location.sql : location.path).trim() === '')
    problems.add('model/bad-location', 'the batch location is empty', { ...where, field: 'batch' });
}

function checkRole(
  problems: Problems,
  source: Source,
  role: 'eventTime' | 'eventId' | 'arrivalTime' | 'op',
  kinds: readonly string[],
): void {
  const name = source[role];
  if (name === null) return;
  const where: Where = { source: source.name, field: role, column: name };
  const column = source.columns.find((field) => field.name === name);
  if (column === undefined && source.lookups.some((lookup) => lookup.name === name)) {
    problems.add(
      'model/looked-up-role',
      `${role} is ${name}, which is looked up: that needs to know the event already`,
      where,
      "name one of the source's own columns",
    );
  } else if (column === undefined) {
    problems.add(
      'model/unknown-column',
      `the source ${source.name} has no column ${JSON.stringify(name)}`,
      where,
      suggestion(
        name,
        source.columns.map((field) => field.name),
      ),
    );
  } else if (!kinds.includes(column.dtype.kind)) {
    problems.add(
      'model/bad-column-type',
      `${role} must be a ${kinds.join(' or a ')} column; ${name} is a ${printDtype(column.dtype)}`,
      where,
    );
  }
}
