/** Expressions as text, close to SQL. Two expressions of different meaning never print alike. */
import { printDtype } from '../types/dtype.ts';
import { coerce, scalarToJson } from '../types/scalar.ts';
import { FUNCTIONS } from './functions/index.ts';
import type { Call, Expr, Literal } from './ir.ts';

const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/;
const WORDS = new Set([
  'and',
  'case',
  'else',
  'end',
  'false',
  'not',
  'null',
  'or',
  'then',
  'true',
  'when',
]);

/** `(amount / avg_7d) > 2.0`; a function prints as `name(args, param => value)`. */
export function printExpr(expr: Expr): string {
  switch (expr.kind) {
    case 'column':
      return PLAIN_NAME.test(expr.name) && !WORDS.has(expr.name)
        ? expr.name
        : quote(expr.name, '"');
    case 'literal':
      return printLiteral(expr);
    case 'call':
      return printCall(expr);
    case 'case': {
      const branches = expr.branches.map(
        ({ when, then }) => `when ${printExpr(when)} then ${printExpr(then)}`,
      );
      const otherwise = expr.otherwise === null ? '' : ` else ${printExpr(expr.otherwise)}`;
      return `case ${branches.join(' ')}${otherwise} end`;
    }
    case 'js': {
      const inputs = expr.inputs.map((input) => `${input.name} => ${printExpr(input.expr)}`);
      return `js ${expr.name}#${expr.hash.slice(0, 12)}(${inputs.join(', ')})`;
    }
  }
}

function printCall({ fn, args, params = {} }: Call): string {
  const operator = FUNCTIONS.get(fn)?.operator;
  if (operator !== undefined) return args.map(printOperand).join(` ${operator} `);
  const constants = Object.entries(params)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name} => ${JSON.stringify(value)}`);
  return `${fn}(${[...args.map(printExpr), ...constants].join(', ')})`;
}

function printOperand(expr: Expr): string {
  const infix = expr.kind === 'call' && FUNCTIONS.get(expr.fn)?.operator !== undefined;
  return infix ? `(${printExpr(expr)})` : printExpr(expr);
}

/** Bare for the types that read back by their look (true, 1, 1.0, 'a'), with the type in front for the others. */
function printLiteral({ value, dtype }: Literal): string {
  if (value === null) return `${printDtype(dtype)} null`;
  const json = scalarToJson(coerce(value, dtype), dtype);
  if (dtype.kind === 'string') return quote(json as string, "'");
  if (dtype.kind === 'bool' || dtype.kind === 'int64') return String(json);
  if (dtype.kind === 'float64' && typeof json === 'number')
    return /[.e]/.test(String(json)) ? String(json) : `${json}.0`;
  const text = typeof json === 'string' ? json : JSON.stringify(json);
  return `${printDtype(dtype)} ${quote(text, "'")}`;
}

function quote(text: string, mark: string): string {
  return `${mark}${text.replaceAll(mark, mark + mark)}${mark}`;
}
