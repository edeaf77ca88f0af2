/** What a request is called: in its answer, in errors, in the server's notes and in the feature log. */

import { soundRequestId } from './terms.ts';

export class RequestIds {
  readonly #tag: string;
  #made = 0;

  /** `tag` begins the ids that are made: another one for each process. */
  constructor(tag: string) {
    this.#tag = tag;
  }

  /** The client's own id, else one that is made. */
  of(given: unknown): string {
    return soundRequestId(given) ?? `${this.#tag}-${(this.#made++).toString(36)}`;
  }
}
