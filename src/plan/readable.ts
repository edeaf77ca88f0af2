/** Definitions as fields that people read, and what differs between two of them. */
import { formatDuration } from '../base/duration.ts';
import { canonicalJson } from '../base/hash.ts';
import type { DurationUs } from '../base/time.ts';
import { printExpr } from '../expr/index.ts';
import type {
  BatchLocation,
  Definition,
  Feature,
  FeatureService,
  FeatureView,
  Member,
  OnDemandFeature,
  OnDemandView,
  Source,
  SourceLookup,
} from '../model/index.ts';
import { printRef } from '../model/index.ts';
import type { Change } from '../registry/contract.ts';
import type { Schema } from '../types/batch.ts';
import { printDtype } from '../types/dtype.ts';

export type FieldChange = Change['fields'][number];

/** Values by path. What belongs to a part (a feature) lies under the part's path; `parts` says each part in one line. */
interface Readable {
  readonly fields: Map<string, string>;
  readonly parts: Map<string, string>;
  /** Features or members by name; their order is meaning, for pages and outputs are laid out by it. */
  readonly order: string[];
}

/**
 * The fields that differ, in the order of the definition; null stands for a definition that is not there. A part that
 * only one side has is one line.
 */
export function diffDefinitions(
  before: Definition | null,
  after: Definition | null,
): FieldChange[] {
  const a = readable(before);
  const b = readable(after);
  const changes: FieldChange[] = [];
  const compare = (path: string, was: string | undefined, is: string | undefined) => {
    if (was !== is) changes.push({ path, before: was ?? null, after: is ?? null });
  };
  for (const path of new Set([...b.fields.keys(), ...a.fields.keys()])) {
    const part = partOf(path);
    // Part by part where both have it; `parts` below says the others.
    if (part === null || (a.parts.has(part) && b.parts.has(part)))
      compare(path, a.fields.get(path), b.fields.get(path));
  }
  for (const part of new Set([...b.parts.keys(), ...a.parts.keys()]))
    if (!(a.parts.has(part) && b.parts.has(part)))
      compare(part, a.parts.get(part), b.parts.get(part));
  const inOrder = (one: Readable, other: Readable) =>
    one.order.filter((name) => other.order.includes(name)).join(', ');
  compare('order', inOrder(a, b), inOrder(b, a));
  return changes;
}

/** The feature that a field belongs to, or null for a field of the whole definition. */
export function featureOfPath(path: string): string | null {
  return partOf(path)?.slice('features.'.length) ?? null;
}

function partOf(path: string): string | null {
  return /^features\.[^.]+/.exec(path)?.[0] ?? null;
}

function readable(definition: Definition | null): Readable {
  const fields = new Map<string, string>();
  const parts = new Map<string, string>();
  const order: string[] = [];
  if (definition === null) return { fields, parts, order };
  const put = (path: string, value: string | null) => {
    if (value !== null && value !== '') fields.set(path, value);
  };
  put('owner', definition.owner);
  put('description', definition.description);
  for (const [key, value] of Object.entries(definition.tags)) put(`tags.${key}`, value || '""');
  switch (definition.kind) {
    case 'entity':
      put(
        'key',
        definition.key.map(({ name, dtype }) => `${name} ${printDtype(dtype)}`).join(', '),
      );
      break;
    case 'source':
      putSource(definition, put);
      break;
    case 'featureView':
      putFeatureView(definition, put);
      break;
    case 'onDemandView':
      putColumns('request', definition.request, put);
      for (const [alias, member] of Object.entries(definition.uses))
        put(`uses.${alias}`, printMember(member));
      break;
    case 'featureService':
      putService(definition, put, order);
      break;
  }
  if (definition.kind === 'featureView' || definition.kind === 'onDemandView')
    putFeatures(definition, put, parts, order);
  return { fields, parts, order };
}

type Put = (path: string, value: string | null) => void;

function putSource(source: Source, put: Put): void {
  putColumns('columns', source.columns, put);
  for (const lookup of source.lookups) put(`lookups.${lookup.name}`, printLookup(lookup));
  put('eventTime', source.eventTime);
  put('eventId', source.eventId);
  put('arrivalTime', source.arrivalTime);
  put('op', source.op);
  put('mutable', source.mutable ? 'yes' : null);
  put('lateness', duration(source.latenessUs || null));
  put('batch', source.batch === null ? null : printLocation(source.batch));
}

function putFeatureView(view: FeatureView, put: Put): void {
  put('entity', view.entity);
  put('source', view.source);
  put('keys', view.keys.join(', '));
  put('where', view.where === null ? null : printExpr(view.where));
  put('freshness', duration(view.freshnessUs));
  put('retention', duration(view.retentionUs));
  put('onlineFor', duration(view.onlineForUs ?? null));
}

function putService(service: FeatureService, put: Put, order: string[]): void {
  put('model', service.model);
  for (const member of service.members) {
    const label = member.as ?? member.view;
    const times = order.filter((other) => other.replace(/#\d+$/, '') === label).length + 1;
    order.push(times > 1 ? `${label}#${times}` : label);
    put(`members.${order.at(-1)}`, printMember(member));
  }
}

function putColumns(path: string, columns: Schema, put: Put): void {
  for (const { name, dtype } of columns) put(`${path}.${name}`, printDtype(dtype));
}

function putFeatures(
  view: FeatureView | OnDemandView,
  put: Put,
  parts: Map<string, string>,
  order: string[],
): void {
  for (const feature of view.features) {
    order.push(feature.name);
    const path = `features.${feature.name}`;
    parts.set(path, printFeature(feature));
    if ('expr' in feature) put(`${path}.expr`, printExpr(feature.expr));
    else {
      put(`${path}.aggregate`, printAggregate(feature));
      put(`${path}.window`, printWindow(feature));
      put(`${path}.fallbacks`, printFallbacks(feature));
      put(`${path}.freshness`, duration(feature.freshnessUs));
      put(`${path}.whenStale`, feature.whenStale ?? null);
    }
    put(`${path}.dtype`, printDtype(feature.dtype));
    put(`${path}.default`, printDefault(feature));
    put(`${path}.description`, feature.description);
    for (const [key, value] of Object.entries(feature.tags)) put(`${path}.tags.${key}`, value);
  }
}

/** A feature in one line: `avg(amount) over 7d → float64`. */
export function printFeature(feature: Feature | OnDemandFeature): string {
  const what =
    'expr' in feature
      ? printExpr(feature.expr)
      : `${printAggregate(feature)} ${printWindow(feature)}`;
  const fallbacks = 'expr' in feature ? null : printFallbacks(feature);
  const filler = printDefault(feature);
  return [
    `${what} → ${printDtype(feature.dtype)}`,
    ...(fallbacks === null ? [] : [`or else ${fallbacks}`]),
    ...(filler === null ? [] : [`default ${filler}`]),
  ].join(' ');
}

/** `segment_spending:avg_amount_7d by segment of (profile: segment by customer_id), then …`; null: there are none. */
export function printFallbacks({ fallbacks }: Feature): string | null {
  if (fallbacks === undefined) return null;
  return fallbacks
    .map(({ member, feature }) => `${printRef(member.view, feature)}${printKeys(member)}`)
    .join(', then ');
}

function printDefault(feature: { readonly default: unknown }): string | null {
  return feature.default === null || feature.default === undefined
    ? null
    : canonicalJson(feature.default);
}

function printAggregate({ aggregate, input }: Feature): string {
  const params = Object.entries(aggregate.params).map(([name, value]) => `${name} => ${value}`);
  return `${aggregate.fn}(${[...(input === null ? [] : [printExpr(input)]), ...params].join(', ')})`;
}

function printWindow({ window }: Feature): string {
  const parts = [
    window.sizeUs !== null && `over ${formatDuration(window.sizeUs)}`,
    window.sinceStartOf !== null && `since start of ${window.sinceStartOf}`,
    window.last !== null && `over last ${window.last}`,
    window.delayUs > 0 && `delay ${formatDuration(window.delayUs)}`,
    window.hopUs !== null && `hop ${formatDuration(window.hopUs)}`,
  ].filter((part) => part !== false);
  return parts.length === 0 ? 'lifetime' : parts.join(' ');
}

/** `customer_spending: avg_amount_7d, tx_count_1d by customer_id as mine`. */
function printMember(member: Member): string {
  const features = member.features === null ? 'all' : member.features.join(', ');
  return `${member.view}: ${features}${printKeys(member)}${member.as === null ? '' : ` as ${member.as}`}`;
}

function printKeys(member: Member): string {
  const keys = member.keys.map((origin) =>
    origin.from === 'column'
      ? origin.column
      : `${origin.feature} of (${printMember(origin.member)})`,
  );
  return keys.length === 0 ? '' : ` by ${keys.join(', ')}`;
}

/** `profile:city by customer_id → string`. */
function printLookup({ view, feature, keys, dtype }: SourceLookup): string {
  return `${printRef(view, feature)} by ${keys.join(', ')} → ${printDtype(dtype)}`;
}

function printLocation(batch: BatchLocation): string {
  return batch.type === 'query'
    ? batch.sql
    : `${batch.type} ${batch.path}${batch.hivePartitioned ? ' (hive partitions)' : ''}`;
}

function duration(us: DurationUs | null): string | null {
  return us === null ? null : formatDuration(us);
}
