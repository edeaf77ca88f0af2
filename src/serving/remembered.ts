/**
 * Answers that may still hold: each with what it was read from. Whoever asks makes sure, by the time and by the versions of
 * the pages, so nothing here is ever out of date; it only saves saying the same again.
 */
import type { InstantUs } from '../base/time.ts';
import type { PageKey } from '../online/contract.ts';
import type { OnlineAnswer } from './online_route.ts';
import type { PageSource } from './pages.ts';

/** Characters of requests and answers in a generation; there are two. */
const GENERATION_CHARACTERS = 8 << 20;
/** Longer ones are not kept: a few hundred would push out all others, and until then the collector of garbage copies them about. */
const MOST_CHARACTERS = GENERATION_CHARACTERS >> 8;

interface Remembered {
  readonly request: string;
  readonly answer: OnlineAnswer;
  readonly pages: readonly PageKey[];
  readonly versions: readonly number[];
  /** The read times for which the answer holds, both inclusive, as long as the pages are of these versions. */
  readonly fromUs: InstantUs;
  readonly untilUs: number;
}

/**
 * Requests of which is known that they were asked once: a power of two, about as many as there are answers in a generation. With more,
 * requests that come again only after their answer is forgotten would be remembered, for nothing.
 */
const ASKED_ONCE = 1 << 13;

/**
 * Of a generation nothing is thrown out: when it is full, it becomes the old one, and of that only what is asked again stays.
 * What was asked once leaves nothing but its hash, so that many who ask once push nobody out, and cost nothing. Kept by hash, for
 * looking for a text in a map has the engine enter that text into its table of all strings.
 */
export class RememberedAnswers {
  #young = new Map<number, Remembered>();
  #old = new Map<number, Remembered>();
  #characters = 0;
  /** What was looked for last. */
  #request = '';
  #hash = hashOf('');
  readonly #askedOnce = new Int32Array(ASKED_ONCE);

  /** The answer to a request, if it holds for a read at `readUs`. Throws as the store does. */
  find(pages: PageSource, request: string, readUs: InstantUs): OnlineAnswer | null {
    const hash = this.#hashOf(request);
    let found = this.#young.get(hash);
    if (found?.request !== request) {
      found = this.#old.get(hash);
      if (found?.request !== request) return null;
      this.#put(hash, found);
    }
    if (readUs < found.fromUs || readUs > found.untilUs) return null;
    const versions = pages.versions!(found.pages);
    for (let i = 0; i < versions.length; i++) if (versions[i] !== found.versions[i]) return null;
    return found.answer;
  }

  /** Keeps an answer that was read at `readUs`, if it was asked for before, for a store that tells versions. */
  remember(pages: PageSource, request: string, answer: OnlineAnswer, readUs: InstantUs): void {
    if (pages.versions === undefined || request.length + answer.text.length > MOST_CHARACTERS)
      return;
    const hash = this.#hashOf(request);
    const slot = hash & (ASKED_ONCE - 1);
    if (this.#askedOnce[slot] !== hash) {
      this.#askedOnce[slot] = hash;
      return;
    }
    const read = answer.pages.filter(({ page }) => page !== null);
    this.#put(hash, {
      request,
      answer,
      pages: read.map(({ page }) => page!),
      versions: read.map(({ version }) => version),
      fromUs: readUs,
      untilUs: Math.min(...read.map(({ steadyUntilUs }) => steadyUntilUs)),
    });
  }

  /** `remember` is asked about what `find` has just been asked about. */
  #hashOf(request: string): number {
    if (request !== this.#request) {
      this.#request = request;
      this.#hash = hashOf(request);
    }
    return this.#hash;
  }

  #put(hash: number, remembered: Remembered): void {
    if (this.#characters > GENERATION_CHARACTERS) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#characters = 0;
    }
    this.#characters += remembered.request.length + remembered.answer.text.length;
    this.#young.set(hash, remembered);
  }
}

/** FNV-1a of the text's code units. Of two requests of one hash the later one is remembered. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
