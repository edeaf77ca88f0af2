import type { Command } from 'commander';
import type { App } from '../../app/open.ts';
import { formatDuration } from '../../base/duration.ts';
import { formatInstant } from '../../base/time.ts';
import { printExpr } from '../../expr/index.ts';
import type {
  Catalog,
  Feature,
  FeatureView,
  OnDemandFeature,
  OnDemandView,
  SourceLookup,
} from '../../model/index.ts';
import {
  featureIndex,
  lineageOf,
  lookupsUsedBy,
  parseRef,
  printRef,
  sourceOf,
  viewOf,
} from '../../model/index.ts';
import { currentCatalog, printFallbacks } from '../../plan/index.ts';
import type { FeatureHit } from '../../registry/contract.ts';
import { type KeptPromise, keptPromise } from '../../serving/kept_promise.ts';
import { command, whole, withApp } from '../command.ts';
import { type Output, table } from '../output.ts';

interface Filter {
  readonly entity?: string;
  readonly owner?: string;
  readonly tag?: string;
  readonly limit: number;
}

/** `samewise features`: list, search and show. */
export function features(program: Command): void {
  const group = command('features', 'find features and see where they come from', [
    'features list --entity customer',
    'features search "mean amount"',
    'features show customer_spending:avg_amount_7d',
  ]);
  const filtered = (sub: Command) =>
    sub
      .option('--entity <name>')
      .option('--owner <name>')
      .option('--tag <name=value>')
      .option('--limit <n>', 'at most so many', whole, 100);
  group.addCommand(
    filtered(command('list', 'list features', ['features list --owner fraud-team'])).action(
      (options: Filter, self: Command) => list(self, '', options),
    ),
  );
  group.addCommand(
    filtered(
      command('search', 'features whose name, description, tags or owner hold every word', [
        'features search "amount 7d"',
      ]),
    )
      .argument('<words>')
      .action((words: string, options: Filter, self: Command) => list(self, words, options)),
  );
  group.addCommand(
    command('show', 'a feature: its meaning, its lineage, and who uses it', [
      'features show customer_spending:avg_amount_7d',
    ])
      .argument('<view:feature>')
      .action((ref: string, _options, self: Command) =>
        withApp(self, async ({ app, out }) => show(app, out, ref)),
      ),
  );
  program.addCommand(group);
}

function list(self: Command, words: string, { limit, ...filter }: Filter): Promise<void> {
  return withApp(self, async ({ app, out }) => {
    const hits: FeatureHit[] = await app.registry.search(words, filter, limit);
    out.result(hits, () =>
      hits.length === 0
        ? 'No feature matches.'
        : table(
            ['feature', 'type', 'entity', 'owner', 'description'],
            hits.map((hit) => [hit.ref, hit.dtype, hit.entity, hit.owner, hit.description]),
          ),
    );
  });
}

async function show({ registry, clock }: App, out: Output, ref: string): Promise<void> {
  const registered = await registry.load();
  const catalog: Catalog = currentCatalog(registered);
  const { view: viewName, feature: featureName } = parseRef(ref);
  const view = viewOf(catalog, viewName);
  const feature = view.features[featureIndex(view, featureName)]!;
  const lineage = lineageOf(catalog, ref);
  const { version } = registered.find(
    ({ kind, name, state }) => kind === view.kind && name === view.name && state === 'current',
  )!;
  const freshness =
    view.kind === 'featureView'
      ? keptPromise(view, version, featureName, await registry.serviceLevels(), clock.nowUs())
      : null;
  const lookups =
    view.kind === 'featureView' ? lookupsUsedBy(view, sourceOf(catalog, view.source)) : [];
  const said = { ref, view: view.name, owner: view.owner, feature, freshness, lookups, lineage };
  out.result(said, () =>
    table(
      ['what', ''],
      [
        ['feature', ref],
        ['type', feature.dtype.kind],
        ['description', feature.description],
        ['owner', view.owner],
        ['meaning', meaningOf(view, feature)],
        ['looked up', lookups.map(printLookup).join(', ')],
        ['or else', 'expr' in feature ? '' : (printFallbacks(feature) ?? '')],
        ['default', feature.default === null ? '' : JSON.stringify(feature.default)],
        ['freshness', freshness === null ? '' : printFreshness(freshness)],
        ['when stale', 'expr' in feature ? '' : (feature.whenStale ?? '')],
        ['entities', lineage.entities.join(', ')],
        [
          'computed from',
          lineage.sources.map((s) => `${s.source}(${s.columns.join(', ')})`).join(', '),
        ],
        ['request data', lineage.request.join(', ')],
        ['other features', lineage.features.join(', ')],
        ['used by features', lineage.usedByFeatures.join(', ')],
        ['used by services', lineage.usedByServices.join(', ')],
        ['models', lineage.models.join(', ')],
      ].filter(([, value]) => value !== ''),
    ),
  );
}

function printFreshness({ within_ms, state, sinceUs }: KeptPromise): string {
  const since = sinceUs === null ? '' : ` since ${formatInstant(Math.floor(sinceUs / 1e6) * 1e6)}`;
  return `${state}${since}, within ${formatDuration(within_ms * 1000)}`;
}

/** `city = profile:city by customer_id`. */
function printLookup({ name, view, feature, keys }: SourceLookup): string {
  return `${name} = ${printRef(view, feature)} by ${keys.join(', ')}`;
}

/** `avg(amount) over 7d`, in words close to the definition. */
function meaningOf(view: FeatureView | OnDemandView, feature: Feature | OnDemandFeature): string {
  if ('expr' in feature) return printExpr(feature.expr);
  const { aggregate, input, window } = feature;
  const params = Object.entries(aggregate.params).map(([name, value]) => `, ${name}=${value}`);
  const parts = [`${aggregate.fn}(${input === null ? '' : printExpr(input)}${params.join('')})`];
  if (window.sinceStartOf !== null) parts.push(`since the start of the ${window.sinceStartOf}`);
  else
    parts.push(window.sizeUs === null ? 'over all time' : `over ${formatDuration(window.sizeUs)}`);
  if (window.delayUs > 0) parts.push(`delayed by ${formatDuration(window.delayUs)}`);
  if (window.hopUs !== null) parts.push(`in hops of ${formatDuration(window.hopUs)}`);
  if (window.last !== null) parts.push(`of the last ${window.last} events`);
  if (view.kind === 'featureView' && view.where !== null)
    parts.push(`where ${printExpr(view.where)}`);
  return parts.join(' ');
}
