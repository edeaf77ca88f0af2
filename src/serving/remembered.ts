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
  readonly answer: OnlineAnswer;
  readonly pages: readonly PageKey[];
  readonly versions: readonly number[];
  /** The read times for which the answer holds, both inclusive, as long as the pages are of these versions. */
  readonly fromUs: InstantUs;
  readonly untilUs: number;
}

/** Requests of which is known that they were asked once: a power of two. */
const ASKED_ONCE = 1 << 16;

/**
 * Of a generation nothing is thrown out: when it is full, it becomes the old one, and of that only what is asked again stays.
 * What was asked once leaves nothing but its hash, so that many who ask once push nobody out, and cost nothing.
 */
export class RememberedAnswers {
  #young = new Map<string, Remembered>();
  #old = new Map<string, Remembered>();
  #characters = 0;
  readonly #askedOnce = new Int32Array(ASKED_ONCE);

  /** The answer to a request, if it holds for a read at `readUs`. Throws as the store does. */
  find(pages: PageSource, request: string, readUs: InstantUs): OnlineAnswer | null {
    if (this.#young.size === 0 && this.#old.size === 0) return null;
    let found = this.#young.get(request);
    if (found === undefined) {
      found = this.#old.get(request);
      if (found === undefined) return null;
      this.#put(request, found);
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
    const hash = hashOf(request);
    const slot = hash & (ASKED_ONCE - 1);
    if (this.#askedOnce[slot] !== hash) {
      this.#askedOnce[slot] = hash;
      return;
    }
    const read = answer.pages.filter(({ page }) => page !== null);
    this.#put(request, {
      answer,
      pages: read.map(({ page }) => page!),
      versions: read.map(({ version }) => version),
      fromUs: readUs,
      untilUs: Math.min(...read.map(({ steadyUntilUs }) => steadyUntilUs)),
    });
  }

  #put(request: string, remembered: Remembered): void {
    if (this.#characters > GENERATION_CHARACTERS) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#characters = 0;
    }
    this.#characters += request.length + remembered.answer.text.length;
    this.#young.set(request, remembered);
  }
}

/** FNV-1a of the text's code units. Two requests of one hash cost a place in the memory, nothing else. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
