/**
 * Names of what lies in Redis, all in ASCII: clients take names for text when they look for a name's slot. `ns` is the namespace.
 *
 *   ns<view>{<bucket>}<key>    a head: 8 bytes of version, then the page
 *   ns<view>{<bucket>}<key>.   its blocks: a hash by block number; not there where the head is all
 *   ns<view>#{<bucket>}        how many keys and bytes of the view lie in a bucket: a hash
 *   ns/<name>                  a value of the bookkeeping
 *
 * What stands in braces alone decides on the slot of a cluster. A bucket holds all pages of an entity, whatever the view: they lie on
 * one node and come in one command, and a head, its blocks and the count change in one script. There are 1,024, evenly over the
 * slots: enough for the nodes that a cluster can have, and few enough to ask all of them for their counts.
 */
import calculateSlot from 'cluster-key-slot';
import type { PageKey } from './contract.ts';

const BUCKETS = 1_024;
const SLOTS_A_BUCKET = 16_384 / BUCKETS;
const URL_SAFE = { alphabet: 'base64url', omitPadding: true } as const;

/** The bucket of an entity's pages. */
export function bucketOf(key: Uint8Array): string {
  return bucketAt(key.toBase64(URL_SAFE));
}

function bucketAt(text: string): string {
  return buckets()[Math.floor(calculateSlot(text) / SLOTS_A_BUCKET)]!;
}

/** Makes the names of one store. */
export class RedisKeys {
  readonly #namespace: string;
  readonly #views = new Map<string, string>();
  readonly #isCluster: boolean;

  constructor(namespace: string, isCluster: boolean) {
    this.#namespace = namespace;
    this.#isCluster = isCluster;
  }

  head({ view, key }: PageKey): string {
    const text = key.toBase64(URL_SAFE);
    return `${this.#view(view)}{${bucketAt(text)}}${text}`;
  }

  /** Names of heads in order. Pages of one entity come together: what is made of its key is made once. */
  heads(pages: readonly PageKey[]): string[] {
    let last: Uint8Array | null = null;
    let rest = '';
    return pages.map(({ view, key }) => {
      if (key !== last) {
        const text = key.toBase64(URL_SAFE);
        rest = `{${bucketAt(text)}}${text}`;
        last = key;
      }
      return this.#view(view) + rest;
    });
  }

  blocks(page: PageKey): string {
    return `${this.head(page)}.`;
  }

  /** The count that a page counts in: on its own slot. A single server has one. */
  count({ view, key }: PageKey): string {
    return `${this.#view(view)}#{${this.#isCluster ? bucketOf(key) : ''}}`;
  }

  /** All counts that a view may have. */
  counts(view: string): string[] {
    const all = this.#isCluster ? buckets() : [''];
    return all.map((bucket) => `${this.#view(view)}#{${bucket}}`);
  }

  meta(name: string): string {
    return `${this.#namespace}/${name}`;
  }

  /** A pattern of all names of a view. */
  pattern(view: string): string {
    return `${this.#view(view)}[{#]*`;
  }

  /** The entity key of a head's name; null for any other name of the view. */
  keyOf(view: string, name: string): Uint8Array | null {
    if (name[this.#view(view).length] !== '{' || name.endsWith('.')) return null;
    return Uint8Array.fromBase64(name.slice(name.indexOf('}') + 1), { alphabet: 'base64url' });
  }

  #view(view: string): string {
    let name = this.#views.get(view);
    if (name === undefined) {
      name = this.#namespace + Uint8Array.fromHex(view).toBase64(URL_SAFE);
      this.#views.set(view, name);
    }
    return name;
  }
}

let named: string[] | null = null;

/** Names of the buckets: each the shortest number, in base 36, that lies on its slots. */
function buckets(): readonly string[] {
  if (named !== null) return named;
  const found = new Array<string>(BUCKETS);
  for (let number = 0, left = BUCKETS; left > 0; number++) {
    const name = number.toString(36);
    const bucket = Math.floor(calculateSlot(name) / SLOTS_A_BUCKET);
    if (found[bucket] !== undefined) continue;
    found[bucket] = name;
    left--;
  }
  named = found;
  return named;
}
