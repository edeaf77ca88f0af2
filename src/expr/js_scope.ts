/** Which names a node of a JavaScript syntax tree declares for what lies inside it. */
import type { AnyNode, Pattern, VariableDeclaration } from 'acorn';
import { base, recursive } from 'acorn-walk';

const known = new WeakMap<AnyNode, ReadonlySet<string>>();
const NONE: ReadonlySet<string> = new Set();

/** Names that are in scope inside `node` because of `node` itself. */
export function declaredBy(node: AnyNode): ReadonlySet<string> {
  let names = known.get(node);
  if (names === undefined) {
    names = declarations(node);
    known.set(node, names);
  }
  return names;
}

function declarations(node: AnyNode): ReadonlySet<string> {
  switch (node.type) {
    case 'ArrowFunctionExpression':
    case 'FunctionExpression':
    case 'FunctionDeclaration': {
      const names = new Set(node.params.flatMap(namesIn));
      if (node.type !== 'ArrowFunctionExpression') names.add('arguments');
      if (node.id) names.add(node.id.name);
      for (const name of hoisted(node.body)) names.add(name);
      return names;
    }
    case 'BlockStatement':
    case 'StaticBlock':
      return new Set(node.body.flatMap(statementNames));
    case 'SwitchStatement':
      return new Set(node.cases.flatMap((one) => one.consequent.flatMap(statementNames)));
    case 'ForStatement':
      return new Set(node.init?.type === 'VariableDeclaration' ? variableNames(node.init) : []);
    case 'ForInStatement':
    case 'ForOfStatement':
      return new Set(node.left.type === 'VariableDeclaration' ? variableNames(node.left) : []);
    case 'CatchClause':
      return new Set(node.param ? namesIn(node.param) : []);
    case 'ClassExpression':
    case 'ClassDeclaration':
      return new Set(node.id ? [node.id.name] : []);
    default:
      return NONE;
  }
}

function statementNames(node: AnyNode): string[] {
  if (node.type === 'VariableDeclaration') return variableNames(node);
  const named = node.type === 'FunctionDeclaration' || node.type === 'ClassDeclaration';
  return named && node.id ? [node.id.name] : [];
}

function variableNames(node: VariableDeclaration): string[] {
  return node.declarations.flatMap(({ id }) => namesIn(id));
}

/** The names that a pattern binds. */
function namesIn(pattern: Pattern): string[] {
  switch (pattern.type) {
    case 'Identifier':
      return [pattern.name];
    case 'ObjectPattern':
      return pattern.properties.flatMap((property) =>
        namesIn(property.type === 'RestElement' ? property.argument : property.value),
      );
    case 'ArrayPattern':
      return pattern.elements.flatMap((element) => (element === null ? [] : namesIn(element)));
    case 'RestElement':
      return namesIn(pattern.argument);
    case 'AssignmentPattern':
      return namesIn(pattern.left);
    default:
      return [];
  }
}

/** Names of `var` declarations anywhere in a function's body, but not in functions inside it. */
function hoisted(body: AnyNode): string[] {
  const names: string[] = [];
  const skip = () => {};
  recursive(body, null, {
    Function: skip,
    VariableDeclaration(node, state, visit) {
      if (node.kind === 'var') names.push(...variableNames(node));
      base.VariableDeclaration!(node, state, visit);
    },
  });
  return names;
}
