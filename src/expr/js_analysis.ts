/** Reading a user's function: its source in a steady form, and whether it keeps to its inputs. */
import { type AnyNode, type Node, type Program, parse, type Token } from 'acorn';
import { fullAncestor } from 'acorn-walk';
import { SamewiseError } from '../base/errors.ts';
import { ALLOWED_GLOBALS, FORBIDDEN_GLOBALS } from './js_names.ts';
import { declaredBy } from './js_scope.ts';

/** A parsed function. */
export interface FunctionSource {
  /** In one layout, without comments, so that reformatting does not change the hash. */
  readonly text: string;
  readonly ast: Program;
}

/** Parses what `toString` of a function gives; `expr/bad-function` if that is not the source of a function. */
export function normalSource(source: string, name: string): FunctionSource {
  // A method (`{ fn({ x }) { … } }`) is a function once the word is put in front.
  const found = parseFunction(source) ?? parseFunction(`function ${source}`);
  if (found !== null) return found;
  throw new SamewiseError('expr/bad-function', `the source of ${name} cannot be read`, {
    hint: 'write an arrow function or a function; bound and built-in functions have no source',
  });
}

function parseFunction(source: string): FunctionSource | null {
  const tokens: Token[] = [];
  const ast = parseExpression(source, tokens);
  if (ast === null) return null;
  const text = inOneLayout(tokens, `(${source}\n)`);
  // Where a line break ends a statement, the layout means something.
  const same = shapeOf(parseExpression(text)) === shapeOf(ast);
  return { text: same ? text : source, ast };
}

/** The syntax tree of a function expression in parentheses, or null if the source is something else. */
function parseExpression(source: string, onToken: Token[] = []): Program | null {
  try {
    const ast = parse(`(${source}\n)`, { ecmaVersion: 'latest', locations: true, onToken });
    const [statement] = ast.body;
    if (ast.body.length !== 1 || statement?.type !== 'ExpressionStatement') return null;
    return /^(ArrowFunction|Function)Expression$/.test(statement.expression.type) ? ast : null;
  } catch {
    return null;
  }
}

/** The tokens with one space between them, but for the text of templates, which is as it is. */
function inOneLayout(tokens: readonly Token[], source: string): string {
  let text = '';
  // The first and the last two tokens are the wrapping and the end of file.
  for (let i = 1; i < tokens.length - 2; i++) {
    const inTemplate = [tokens[i - 1]!, tokens[i]!].some(({ type }) => type.label === 'template');
    text += i === 1 || inTemplate ? '' : ' ';
    text += source.slice(tokens[i]!.start, tokens[i]!.end);
  }
  return text;
}

function shapeOf(ast: Program | null): string {
  const positions = new Set(['start', 'end', 'loc']);
  return JSON.stringify(ast, (key, value) =>
    positions.has(key) ? undefined : typeof value === 'bigint' ? `${value}` : value,
  );
}

interface Problem {
  readonly node: Node;
  readonly message: string;
  readonly hint: string;
}

/**
 * Throws `expr/impure-function` for the first place where the function reaches for more than its inputs, the
 * language's pure globals and `helpers`.
 */
export function checkPure(
  { ast }: FunctionSource,
  name: string,
  helpers: ReadonlySet<string>,
): void {
  const problems: Problem[] = [];
  fullAncestor(ast, (node, _state, ancestors) => {
    const found =
      node.type === 'Identifier'
        ? freeName(node.name, ancestors as AnyNode[], helpers)
        : (impureSyntax(node as AnyNode) ?? impureMember(node as AnyNode));
    if (found !== null) problems.push({ node, ...found });
  });
  const first = problems.sort((a, b) => a.node.start - b.node.start)[0];
  if (first === undefined) return;
  const line = first.node.loc!.start.line;
  throw new SamewiseError(
    'expr/impure-function',
    `${name} ${first.message} (line ${line} of the function)`,
    { where: { field: name, line }, hint: first.hint },
  );
}

type Found = Omit<Problem, 'node'> | null;

const HINTS: Readonly<Record<string, string>> = {
  Date: 'pass the time as an input: a timestamp is a number of microseconds',
  console: 'a function only computes; look at its results instead',
};
const PURE_HINT = 'a function may depend on nothing but its inputs';

function freeName(
  name: string,
  ancestors: readonly AnyNode[],
  helpers: ReadonlySet<string>,
): Found {
  if (ancestors.some((scope) => declaredBy(scope).has(name))) return null;
  if (name === 'Math') return mathUse(ancestors);
  if (helpers.has(name) || ALLOWED_GLOBALS.has(name)) return null;
  if (FORBIDDEN_GLOBALS.has(name) || name === 'eval')
    return { message: `uses ${name}`, hint: HINTS[name] ?? PURE_HINT };
  return {
    message: `captures \`${name}\``,
    hint: 'pass it as an input, or a function as a helper',
  };
}

/** Math may only be used as `Math.name`, so that its randomness cannot leave by another way. */
function mathUse(ancestors: readonly AnyNode[]): Found {
  const [parent, node] = ancestors.slice(-2) as [AnyNode, AnyNode];
  const member = parent.type === 'MemberExpression' && parent.object === node;
  const name = member ? propertyName(parent) : undefined;
  if (name === 'random') return { message: 'uses Math.random', hint: PURE_HINT };
  if (name !== undefined) return null;
  return { message: 'uses Math as a value', hint: 'name the function: Math.abs(x)' };
}

function impureSyntax(node: AnyNode): Found {
  switch (node.type) {
    case 'ThisExpression':
    case 'Super':
      return { message: 'uses this', hint: 'inputs arrive as the argument' };
    case 'ImportExpression':
      return { message: 'uses import', hint: 'pass what it needs as a helper' };
    case 'MetaProperty':
      return { message: `uses ${node.meta.name}.${node.property.name}`, hint: PURE_HINT };
    case 'AwaitExpression':
      return { message: 'uses await', hint: 'a function returns its value at once' };
    case 'ArrowFunctionExpression':
    case 'FunctionExpression':
    case 'FunctionDeclaration':
      return node.async
        ? { message: 'is or has an async function', hint: 'a function returns its value at once' }
        : null;
    default:
      return null;
  }
}

const REFUSED_MEMBERS = new Set([
  'constructor',
  'prototype',
  '__proto__',
  '__defineGetter__',
  '__defineSetter__',
]);

/** Members that lead out of the function (to its constructor) or depend on the machine's language. */
function impureMember(node: AnyNode): Found {
  if (node.type !== 'MemberExpression' && node.type !== 'Property') return null;
  const name = propertyName(node);
  if (name === undefined) return null;
  if (REFUSED_MEMBERS.has(name)) return { message: `uses .${name}`, hint: PURE_HINT };
  if (name === 'localeCompare' || name.startsWith('toLocale'))
    return { message: `uses .${name}, which depends on the machine`, hint: 'compare with < and >' };
  return null;
}

function propertyName(
  node: AnyNode & { type: 'MemberExpression' | 'Property' },
): string | undefined {
  const key = node.type === 'Property' ? node.key : node.property;
  if (key.type === 'Literal') return String(key.value);
  return key.type === 'Identifier' && !node.computed ? key.name : undefined;
}
