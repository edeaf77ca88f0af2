/** A search index in memory, for registries whose store has none of its own: the very one of SQLite, so that answers are the same. */
import { DatabaseSync } from 'node:sqlite';
import type { FeatureHit, Registered } from './contract.ts';
import { indexView, SEARCH_TABLES, searchFeatures } from './sqlite_search.ts';

export class SearchIndex {
  readonly #db = new DatabaseSync(':memory:');
  /** The views that are in it, by name. */
  #views = new Map<string, Registered>();

  constructor() {
    this.#db.exec(SEARCH_TABLES);
  }

  /** Brings it up to date with what is live; objects that are the same as before cost nothing. */
  update(live: readonly Registered[]): void {
    const views = new Map<string, Registered>();
    for (const object of live)
      if (
        object.state === 'current' &&
        (object.kind === 'featureView' || object.kind === 'onDemandView')
      )
        views.set(object.name, object);
    this.#db.exec('begin');
    for (const name of this.#views.keys())
      if (!views.has(name)) indexView(this.#db, name, undefined);
    for (const [name, view] of views)
      if (this.#views.get(name) !== view) indexView(this.#db, name, view);
    this.#db.exec('commit');
    this.#views = views;
  }

  /** See `Registry.search`. */
  search(
    text: string,
    filter: { entity?: string; owner?: string; tag?: string },
    limit: number,
  ): FeatureHit[] {
    return searchFeatures(this.#db, text, filter, limit);
  }

  close(): void {
    this.#db.close();
  }
}
