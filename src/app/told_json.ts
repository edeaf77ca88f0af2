/** Values in what is told as JSON, with all the digits that every other answer has for them. */

/** What `JSON.stringify` writes as the text that it was made of. */
export type ExactJson = unknown;

/** `JSON.rawJSON` (ES2025), which TypeScript's library does not declare yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): ExactJson };
/** What TypeScript knows of a reviver; the platform hands it the source text as well. */
type Reviver = Parameters<typeof JSON.parse>[1];

/** Takes the text of a scalar, as `scalarToJsonText` writes it. */
export function exactJson(text: string): ExactJson {
  return JSON.parse(text, exactNumbers as Reviver);
}

function exactNumbers(_key: string, value: unknown, context: { source?: string }): unknown {
  return typeof value === 'number' ? rawJSON(context.source!) : value;
}
