/** The arrows of docs/architecture.md: which room may import which, and who may touch the machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  AssignmentPattern,
  Expression,
  Identifier,
  ImportSpecifier,
  MemberExpression,
  NewExpression,
  VariableDeclarator,
} from 'acorn';
import { simple } from 'acorn-walk';
import { type SourceFile, sources, syntaxOf } from './sources.ts';

/** From the bottom up; rooms of one row do not know each other. */
const LEVELS = [
  ['base'],
  ['types'],
  ['expr'],
  ['aggregate'],
  ['timeline'],
  ['model'],
  ['dsl', 'plan', 'registry', 'capacity'],
  ['offline', 'online', 'client', 'design'],
  ['stream'],
  ['serving'],
  ['app'],
  ['cli'],
];
/** Rooms that run anywhere: nothing from Node, and only libraries that are pure themselves. */
const PURE_ROOMS = [
  'base',
  'types',
  'expr',
  'aggregate',
  'timeline',
  'model',
  'dsl',
  'capacity',
  'design',
];
const PURE_LIBRARIES = ['@noble/hashes', 'acorn', 'acorn-walk', 'typebox', 'yaml'];
/** Rooms with a contract and adapters: all but these files of theirs is an adapter, which only app/ names. */
const CONTRACTS = [
  'registry/contract.ts',
  'registry/health_contract.ts',
  'offline/contract.ts',
  'offline/feature_log_contract.ts',
  'offline/history_contract.ts',
  'online/contract.ts',
  // What every adapter over LMDB stands on, whichever room it is of.
  'online/lmdb_env.ts',
  'online/lmdb_errors.ts',
  'stream/contract.ts',
];
/** A contract that a room of the same level may import. */
const BESIDE: Record<string, string> = { plan: 'registry/contract.ts' };

const roomOf = (path: string) => path.split('/')[0]!;
const levelOf = (room: string) => LEVELS.findIndex((level) => level.includes(room));
const isAdapter = (path: string) =>
  CONTRACTS.some((contract) => roomOf(contract) === roomOf(path)) && !CONTRACTS.includes(path);

/** What is wrong with `source` importing `target`, or null. */
function objection(source: SourceFile, target: string): string | null {
  const from = roomOf(source.path);
  if (target.startsWith('node:') || !target.endsWith('.ts')) {
    if (!PURE_ROOMS.includes(from)) return null;
    const pure = PURE_LIBRARIES.some((name) => target === name || target.startsWith(`${name}/`));
    return pure ? null : `${from}/ runs anywhere and may not import ${target}`;
  }
  const to = roomOf(target);
  if (target.startsWith('..')) return 'src/ imports nothing from outside itself';
  if (from === to) return null;
  if (isAdapter(target) && from !== 'app') return `only app/ names the adapter ${target}`;
  if (levelOf(to) < levelOf(from) || BESIDE[from] === target) return null;
  return `${from}/ may not import ${to}/: arrows point down`;
}

test('imports point one way, and only app/ names adapters', () => {
  const wrong = sources.flatMap((source) =>
    source.imports.flatMap((target) => {
      const why = objection(source, target);
      return why === null ? [] : [`src/${source.path} → ${target}: ${why}`];
    }),
  );
  assert.deepEqual(wrong, []);
});

test('the rule itself objects to arrows that point back', () => {
  const at = (path: string, target: string) => objection({ path, text: '', imports: [] }, target);
  assert.equal(at('plan/a.ts', 'registry/contract.ts'), null);
  assert.equal(at('serving/a.ts', 'online/contract.ts'), null);
  assert.equal(at('app/a.ts', 'online/lmdb.ts'), null);
  for (const [path, target] of [
    ['base/a.ts', 'types/dtype.ts'],
    ['registry/a.ts', 'plan/index.ts'],
    ['online/a.ts', 'offline/contract.ts'],
    ['serving/a.ts', 'online/lmdb.ts'],
    ['stream/a.ts', 'online/lmdb.ts'],
    ['online/a.ts', 'stream/contract.ts'],
    ['model/a.ts', 'node:fs'],
    ['dsl/a.ts', 'fastify'],
    ['app/a.ts', '../test/support/cases.ts'],
  ])
    assert.notEqual(at(path!, target!), null, `${path} → ${target}`);
});

function isMachine(node: Expression | null | undefined): node is Identifier {
  return node?.type === 'Identifier' && /^(Math|process|performance|crypto)$/.test(node.name);
}

/** Machine state that a file reads: the clock, randomness, the environment. */
function machineUses(source: SourceFile): string[] {
  const found: string[] = [];
  const forbidden = ['process.env', 'Date.now', 'Math.random', 'performance.', 'crypto.'];
  simple(syntaxOf(source), {
    MemberExpression(node) {
      const { object, property } = node as MemberExpression;
      if (object.type !== 'Identifier') return;
      const text = `${object.name}.${(property as Identifier).name}`;
      if (forbidden.some((f) => text === f || (f.endsWith('.') && text.startsWith(f))))
        found.push(text);
    },
    NewExpression(node) {
      const { callee, arguments: args } = node as NewExpression;
      if (callee.type === 'Identifier' && callee.name === 'Date' && args.length === 0)
        found.push('new Date()');
    },
    ImportSpecifier(node) {
      const { name } = (node as ImportSpecifier).imported as Identifier;
      if (/^(env|performance|random(UUID|Bytes|Int))$/.test(name)) found.push(`import { ${name} }`);
    },
    // What is taken apart, as in const { random } = Math; a parameter of that name is injected.
    VariableDeclarator(node) {
      const { id, init } = node as VariableDeclarator;
      if (id.type === 'ObjectPattern' && isMachine(init)) found.push(`{ … } = ${init.name}`);
    },
    AssignmentPattern(node) {
      const { left, right } = node as AssignmentPattern;
      if (left.type === 'ObjectPattern' && isMachine(right)) found.push(`{ … } = ${right.name}`);
    },
  });
  return found;
}

test('the clock, randomness and the environment are touched only at the edge', () => {
  const allowed = (path: string) =>
    path === 'base/clock.ts' || roomOf(path) === 'app' || roomOf(path) === 'cli';
  const wrong = sources
    .filter((source) => !allowed(source.path))
    .flatMap((source) => machineUses(source).map((use) => `src/${source.path}: ${use}`));
  assert.deepEqual(wrong, []);
  const clock = sources.find((source) => source.path === 'base/clock.ts')!;
  assert.ok(machineUses(clock).length > 0, 'the check sees the one real clock');
  const uses = (text: string) => machineUses({ path: 'model/a.ts', text, imports: [] });
  assert.deepEqual(uses('const { random } = Math; const { env } = process;').length, 2);
  assert.deepEqual(uses('function f({ env } = process) {}').length, 1);
  assert.deepEqual(uses('function f({ random }) { return random(); }'), []);
});
