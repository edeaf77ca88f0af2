/** The fluent `when(cond).then(x).when(…).then(…).otherwise(y)`. */
import { SamewiseError } from '../base/errors.ts';
import { type BoolType, bool, type Dtype, printDtype } from '../types/dtype.ts';
import { asValue, ownType, Value } from './builder.ts';
import { unify } from './functions/promote.ts';
import type { LiteralType, Operand, TypeBeside, Unify } from './value_types.ts';

type Branches = readonly { readonly when: Value<BoolType>; readonly then: Value<any> }[];

/** `when(cond).then(x).when(…).then(…).otherwise(y)`: the first branch whose condition is true. */
export function when(condition: Operand<BoolType>): When<never> {
  return new When([], asCondition(condition));
}

function asCondition(operand: unknown): Value<BoolType> {
  const condition = asValue(operand, bool);
  if (condition.dtype.kind === 'bool') return condition;
  throw new SamewiseError(
    'expr/type-mismatch',
    `the condition of a case is ${printDtype(condition.dtype)}; it takes bool`,
    { hint: 'compare it with something' },
  );
}

/** A case that waits for what its last condition gives. */
export class When<D extends Dtype> {
  readonly #branches: Branches;
  readonly #condition: Value<BoolType>;

  constructor(branches: Branches, condition: Value<BoolType>) {
    this.#branches = branches;
    this.#condition = condition;
  }

  // biome-ignore lint/suspicious/noThenProperty: it reads as the language does, and nobody awaits a condition
  then<T extends Dtype>(value: Value<T>): Then<[D] extends [never] ? T : Unify<D, T>>;
  // biome-ignore lint/suspicious/noThenProperty: see above
  then<const P extends [D] extends [never] ? string | number | bigint | boolean : Operand<D>>(
    value: P,
  ): Then<[D] extends [never] ? LiteralType<P> : Unify<D, TypeBeside<P, D>>>;
  // biome-ignore lint/suspicious/noThenProperty: see above
  then(value: unknown): Then<any> {
    const before = this.#branches[0]?.then.dtype;
    const then = asValue(value, before ?? ownType(value));
    return new Then([...this.#branches, { when: this.#condition, then }]);
  }
}

/** A case that may go on or end. */
export class Then<D extends Dtype> {
  readonly #branches: Branches;

  constructor(branches: Branches) {
    this.#branches = branches;
  }

  when(condition: Operand<BoolType>): When<D> {
    return new When(this.#branches, asCondition(condition));
  }

  /** The value where no condition is true. */
  otherwise<const R extends Operand<D>>(value: R): Value<Unify<D, TypeBeside<R, D>>> {
    return this.#end(asValue(value, this.#branches[0]!.then.dtype));
  }

  /** Null where no condition is true. */
  end(): Value<D> {
    return this.#end(null);
  }

  #end(otherwise: Value<any> | null): Value<any> {
    const values = this.#branches.map(({ then }) => then.dtype as Dtype);
    if (otherwise !== null) values.push(otherwise.dtype);
    const dtype = unify(values);
    if (dtype === null)
      throw new SamewiseError(
        'expr/type-mismatch',
        `the branches of a case have different types: ${values.map(printDtype).join(', ')}`,
        { hint: 'cast them to one type' },
      );
    const branches = this.#branches.map(({ when, then }) => ({
      when: when.expr,
      // biome-ignore lint/suspicious/noThenProperty: the word of the language; nobody awaits it
      then: then.expr,
    }));
    return new Value({ kind: 'case', branches, otherwise: otherwise?.expr ?? null }, dtype);
  }
}
