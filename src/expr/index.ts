/** Expressions: build, check, print, evaluate. */
export {
  asValue,
  call,
  coalesce,
  column,
  concat,
  greatest,
  least,
  literal,
  Value,
} from './builder.ts';
export { type Then, type When, when } from './case.ts';
export { compile, type Program } from './evaluate.ts';
export { FUNCTIONS } from './functions/index.ts';
export type * from './ir.ts';
export * from './js_function.ts';
export { printExpr } from './print.ts';
export { columnsOf, typeOf } from './typecheck.ts';
export type * from './value_types.ts';
