/** YAML (or JSON, which is YAML) that people write: checked against a schema, and what is wrong is told with its line. */
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { isNode, LineCounter, parseDocument } from 'yaml';
import { nearest, SamewiseError } from '../base/errors.ts';

export interface YamlFile<T> {
  readonly value: T;
  /** An error about a field, given as its path, with the line on which that stands. */
  error(
    code: string,
    path: readonly (string | number)[],
    message: string,
    hint: string,
  ): SamewiseError;
}

/** Reads files of one shape. What they throw has the codes `<area>/not-yaml` and `<area>/bad-field`. */
export function yamlReader<Schema extends TSchema>(area: string, schema: Schema) {
  const checker = Compile(schema);
  return (text: string, file: string): YamlFile<Static<Schema>> => {
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines });
    const broken = document.errors[0];
    if (broken !== undefined)
      throw new SamewiseError(`${area}/not-yaml`, broken.message.split('\n')[0]!, {
        where: { file, line: lines.linePos(broken.pos[0]).line },
        hint: 'a field is written as `name: value`, and what belongs to it is indented below it',
      });
    const lineOf = (path: readonly (string | number)[]): number | undefined => {
      for (let length = path.length; length > 0; length--) {
        const node = document.getIn(path.slice(0, length), true);
        if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
      }
      return undefined;
    };
    const error: YamlFile<unknown>['error'] = (code, path, message, hint) =>
      new SamewiseError(`${area}/${code}`, message, {
        where: { file, line: lineOf(path), field: path.join('.') },
        hint,
      });
    const value: unknown = document.toJS();
    if (!checker.Check(value)) {
      const found = checker.Errors(value);
      // An unknown field explains more than what it lacks for it.
      const problem = found.find(({ keyword }) => keyword === 'additionalProperties') ?? found[0]!;
      const path = pathOf(problem.instancePath);
      const [unknown] =
        (problem.params as { additionalProperties?: string[] }).additionalProperties ?? [];
      if (unknown === undefined)
        throw error('bad-field', path, `it ${problem.message}`, hintOf(schema, path));
      const known = knownFields(schema, path);
      const meant = nearest(unknown, known);
      throw error(
        'bad-field',
        [...path, unknown],
        `there is no field ${JSON.stringify(unknown)} here`,
        meant === undefined ? `fields: ${known.join(', ')}` : `did you mean "${meant}"?`,
      );
    }
    return { value: value as Static<Schema>, error };
  };
}

function pathOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

interface Described {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Described>>;
  readonly patternProperties?: Readonly<Record<string, Described>>;
  readonly items?: Described;
}

/** The schema of what lies at a path. */
function schemaAt(schema: TSchema, path: readonly string[]): Described | undefined {
  let at: Described | undefined = schema as Described;
  for (const part of path)
    at = at?.properties?.[part] ?? Object.values(at?.patternProperties ?? {})[0] ?? at?.items;
  return at;
}

function knownFields(schema: TSchema, path: readonly string[]): string[] {
  return Object.keys(schemaAt(schema, path)?.properties ?? {});
}

function hintOf(schema: TSchema, path: readonly string[]): string {
  return schemaAt(schema, path)?.description ?? 'see the examples of --help';
}
