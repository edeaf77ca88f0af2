/** Collecting what is wrong with definitions, so that a person sees it all at once. */
import { SamewiseError, type Where } from '../base/errors.ts';

/** How many problems one error spells out. */
const SHOWN = 20;

/** Coded problems, in the order in which they were found. */
export class Problems {
  readonly list: SamewiseError[] = [];

  add(code: string, message: string, where: Where, hint?: string): void {
    this.list.push(new SamewiseError(code, message, { where, hint }));
  }

  /** Runs `body`; a coded error that leaves it becomes a problem at `where`, and the answer is undefined. */
  attempt<T>(where: Where, body: () => T): T | undefined {
    try {
      return body();
    } catch (error) {
      if (!(error instanceof SamewiseError)) throw error;
      this.list.push(error.at(where));
      return undefined;
    }
  }

  /** Throws nothing, the one problem, or `model/invalid` with every problem in its text and in `problemsOf`. */
  throwIfAny(): void {
    const { list } = this;
    if (list.length === 0) return;
    if (list.length === 1) throw list[0];
    const lines = list.slice(0, SHOWN).map((problem) => `  ${printProblem(problem)}`);
    if (list.length > SHOWN) lines.push(`  … and ${list.length - SHOWN} more`);
    throw new SamewiseError(
      'model/invalid',
      `the definitions have ${list.length} problems\n${lines.join('\n')}`,
      { where: list[0]!.where, cause: new AggregateError(list) },
    );
  }
}

/** The single problems behind an error of `validateCatalog` or `catalogOf`; of any other error, itself. */
export function problemsOf(error: SamewiseError): readonly SamewiseError[] {
  return error.code === 'model/invalid' && error.cause instanceof AggregateError
    ? error.cause.errors
    : [error];
}

function printProblem(problem: SamewiseError): string {
  const { view, feature, source, entity, service, field } = problem.where;
  const place = [
    service && `service ${service}`,
    entity && `entity ${entity}`,
    source && `source ${source}`,
    view && (feature ? `${view}:${feature}` : `view ${view}`),
    field,
  ].filter(Boolean);
  const hint = problem.hint === undefined ? '' : ` (${problem.hint})`;
  return `[${problem.code}] ${place.join(', ')}: ${problem.message}${hint}`;
}
