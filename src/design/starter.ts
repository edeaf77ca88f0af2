/** The project that a design begins with: definitions that compile, and the load that its numbers are computed from. */
import { formatDuration, parseDuration } from '../base/duration.ts';
import { formatInstant, parseInstant, US_PER_DAY, US_PER_MINUTE } from '../base/time.ts';
import { type Dtype, parseDtype } from '../types/dtype.ts';
import {
  columnOf,
  type FeatureGroup,
  featureNames,
  type Requirements,
  type SourceRequirement,
} from './requirements.ts';
import { SYSTEMS } from './systems.ts';

/** Files by their path in the project. `load.yaml` is for `samewise capacity`. */
export function starter(requirements: Requirements): Readonly<Record<string, string>> {
  const { name, title } = requirements;
  return {
    'package.json': jsonText({
      name,
      private: true,
      type: 'module',
      scripts: { samewise: 'samewise' },
      dependencies: { samewise: '^0.1.0' },
    }),
    'samewise.config.json': jsonText({ definitions: 'features.ts' }),
    'tsconfig.json': jsonText({
      compilerOptions: {
        target: 'esnext',
        module: 'nodenext',
        strict: true,
        noEmit: true,
        allowImportingTsExtensions: true,
        skipLibCheck: true,
      },
      include: ['*.ts'],
    }),
    '.gitignore': 'node_modules/\n.samewise/\n',
    'features.ts': definitionsOf(requirements),
    'load.yaml': loadOf(requirements),
    ...Object.fromEntries(
      Object.entries(requirements.sources).map(([source, spec]) => [
        `data/${source}/sample.json`,
        sampleOf(spec),
      ]),
    ),
    'README.md': `# ${title}

Made by \`samewise design\`; the reasons are in design.md. \`data/\` has a few rows of each source, so that everything works at once. Real
history is Parquet: \`batch: parquet('…/*.parquet')\`.

    samewise plan
    samewise apply --yes
    samewise materialize
    samewise serve
    samewise capacity load.yaml --formulas
`,
  };
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Rows of a source to try things with: of three entities each, one a minute. */
const SAMPLE_ROWS = 12;
const SAMPLE_START_US = parseInstant('2026-01-01');

function sampleOf({ columns, id }: SourceRequirement): string {
  const rows = Array.from({ length: SAMPLE_ROWS }, (_, row) =>
    Object.fromEntries(
      Object.entries(columns).map(([column, type]) => [
        column,
        sampleValue(parseDtype(type), column === id ? row : row % 3, row),
      ]),
    ),
  );
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}

function sampleValue(dtype: Dtype, which: number, row: number): unknown {
  switch (dtype.kind) {
    case 'bool':
      return which === 1;
    case 'int32':
    case 'int64':
      return which + 1;
    case 'float32':
    case 'float64':
      return 10 + row / 4;
    case 'timestamp':
      return formatInstant(SAMPLE_START_US + row * US_PER_MINUTE);
    case 'date':
      return '2026-01-01';
    case 'vector':
      return Array.from({ length: dtype.size }, (_, i) => ((i + row) % 8) / 8);
    case 'list':
      return [sampleValue(dtype.of, which, row)];
    default:
      return `s${which + 1}`;
  }
}

/** `customer_spending` → `customerSpending`. */
function camel(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function definitionsOf({
  title,
  name,
  owner,
  entities,
  sources,
  features,
  context,
}: Requirements): string {
  const used = new Set(['entity', 'source', 'featureView', 'featureService', 'json', 'stream']);
  const columnsText = (columns: Readonly<Record<string, string>>, indent: string) =>
    Object.entries(columns)
      .map(([column, type]) => {
        used.add(type.replace(/\(.*/, ''));
        for (const [inner] of type.matchAll(/(?<=\()[a-z]\w*/g)) used.add(inner);
        return `${indent}${column}: ${type},\n`;
      })
      .join('');
  const about = (description: string | undefined) =>
    description === undefined ? '' : `  description: ${quoted(description)},\n`;

  const parts: string[] = [];
  for (const [entity, { key, description }] of Object.entries(entities))
    parts.push(
      `export const ${camel(entity)} = entity({\n  name: '${entity}',\n  key: {\n${columnsText(key, '    ')}  },\n${about(description)}  owner,\n});`,
    );
  for (const [source, spec] of Object.entries(sources)) {
    const log = logOf(spec);
    parts.push(
      [
        `export const ${camel(source)} = source({`,
        `  name: '${source}',`,
        `  columns: {\n${columnsText(spec.columns, '    ')}  },`,
        `  eventTime: '${spec.time}',`,
        ...(spec.id === undefined ? [] : [`  eventId: '${spec.id}',`]),
        ...(SYSTEMS[spec.from].way === 'changes' ? ['  mutable: true,'] : []),
        `  lateness: '${spec.lateness ?? '1d'}',`,
        `  batch: json('data/${source}/*.json'),`,
        ...(log === null ? [] : [`  ${log}`]),
        ...(spec.description === undefined ? [] : [about(spec.description).trimEnd()]),
        '  owner,',
        '});',
      ].join('\n'),
    );
  }
  for (const [view, group] of Object.entries(features)) {
    const { columns, lines } = featuresText(group, used);
    const retention = retentionOf(group, sources[group.source]!);
    parts.push(
      [
        `export const ${camel(view)} = featureView({`,
        `  name: '${view}',`,
        `  entity: ${camel(group.entity)},`,
        `  source: ${camel(group.source)},`,
        `  freshness: '${group.freshness}',`,
        ...(retention === null ? [] : [`  retention: '${retention}',`]),
        ...(group.description === undefined ? [] : [about(group.description).trimEnd()]),
        '  owner,',
        `  features: (${columns.length === 0 ? '' : `{ ${columns.join(', ')} }`}) => ({`,
        ...lines.map((line) => `    ${line},`),
        '  }),',
        '});',
      ].join('\n'),
    );
  }
  const names = Object.values(features).flatMap((group) => featureNames(group));
  const views = Object.entries(features).map(([view, group]) =>
    featureNames(group).some((feature) => names.indexOf(feature) !== names.lastIndexOf(feature))
      ? `${camel(view)}.as('${view}')`
      : camel(view),
  );
  if (context !== undefined) {
    used.add('onDemandView');
    const uses = [
      ...new Set(Object.values(context.ratios).map(({ to }) => camel(to.split('.')[0]!))),
    ];
    const ratios = Object.entries(context.ratios).map(
      ([ratio, { of, to }]) =>
        `    ${ratio}: request.${of}.div(${camel(to.split('.')[0]!)}.${to.split('.')[1]}),`,
    );
    parts.push(
      [
        'export const requestContext = onDemandView({',
        "  name: 'request_context',",
        `  request: {\n${columnsText(context.request, '    ')}  },`,
        `  uses: { ${uses.join(', ')} },`,
        '  owner,',
        `  features: ({ request, ${uses.join(', ')} }) => ({`,
        ...ratios,
        '  }),',
        '});',
      ].join('\n'),
    );
    views.push('requestContext');
  }
  parts.push(
    `export const service = featureService({\n  name: '${name}_v1',\n  model: '${name}',\n  features: [${views.join(', ')}],\n  owner,\n});`,
  );
  const imports = [...used].sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
  return `/** ${title}. Made by \`samewise design\`. */\nimport {\n${imports.map((n) => `  ${n},\n`).join('')}} from 'samewise';\n\nconst owner = '${owner}';\n\n${parts.join('\n\n')}\n`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function logOf({ from, name }: SourceRequirement): string | null {
  if (SYSTEMS[from].way === 'files' || from === 'push') return null;
  const format = SYSTEMS[from].way === 'changes' ? 'debezium' : 'json';
  return `stream: stream({ topic: ${quoted(name)}, format: '${format}' }),`;
}

function featuresText(
  group: FeatureGroup,
  used: Set<string>,
): { columns: string[]; lines: string[] } {
  const names = featureNames(group);
  if (group.columns !== undefined)
    return { columns: [...group.columns], lines: [...group.columns] };
  const columns = new Set<string>();
  const lines = group.windows!.flatMap((window, w) =>
    group.aggregates!.map((text, a) => {
      const column = columnOf(text);
      const fn = camel(text.replace(/\(.*/, ''));
      used.add(fn);
      if (column !== null) columns.add(column);
      const hop = group.kind === 'daily' ? ".hop('1d')" : '';
      return `${names[w * group.aggregates!.length + a]}: ${fn}(${column ?? ''}).over('${window}')${hop}`;
    }),
  );
  return { columns: [...columns], lines };
}

/** Raw events are kept online for the longest window, and what may come late; null where all rows are kept: of a table they are its rows. */
export function retentionOf(group: FeatureGroup, source: SourceRequirement): string | null {
  if (SYSTEMS[source.from].way === 'changes') return null;
  const longest = Math.max(0, ...(group.windows ?? []).map(parseDuration));
  const hop = group.kind === 'daily' ? US_PER_DAY : 0;
  const needed = longest + hop + parseDuration(source.lateness ?? '1d');
  return formatDuration(Math.max(1, Math.ceil(needed / US_PER_DAY)) * US_PER_DAY);
}

function loadOf({ name, entities, sources, serving, history }: Requirements): string {
  const lines = [`history: ${history}`, 'entities:'];
  for (const [entity, { count, skew }] of Object.entries(entities))
    lines.push(`  ${entity}: { count: ${count}, skew: ${skew ?? 0} }`);
  lines.push('sources:');
  for (const [source, { rate, rows, from, values }] of Object.entries(sources)) {
    lines.push(`  ${source}:`, `    rate: ${rate}`);
    if (rows !== undefined) lines.push(`    rows: ${rows}`);
    lines.push(`    streamed: ${SYSTEMS[from].way !== 'files'}`);
    const columns = Object.entries(values ?? {});
    if (columns.length > 0) lines.push('    columns:');
    for (const [column, about] of columns)
      lines.push(
        `      ${column}: { ${Object.entries(about)
          .map(([field, value]) => `${field}: ${value}`)
          .join(', ')} }`,
      );
  }
  lines.push(
    'services:',
    `  ${name}_v1: { rate: ${serving.requests}, entities: ${serving.entities ?? 1} }`,
  );
  return `${lines.join('\n')}\n`;
}
