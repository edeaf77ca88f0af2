/**
 * Pages that were opened before. Opening one means to go over all of its bytes, which for a read of a few large blocks takes longer than
 * what it reads of them: whoever reads the same bytes again may keep what opening them has made.
 */
import type { HeadView } from './codec.ts';
import type { EntriesView } from './entries.ts';
import type { Prepared } from './prepare.ts';
import type { RowsView } from './rows_codec.ts';

/** What a page was opened as. */
export type PageView = HeadView | RowsView | EntriesView;

/**
 * Remembers by the array that holds a page, for as long as somebody else holds this. Only for arrays that nobody writes to any
 * more: a store that hands out one array for all its answers must be asked for copies. Columns that were decoded are kept as well.
 */
export class OpenedPages {
  readonly #views = new WeakMap<Uint8Array, { prepared: Prepared; view: PageView }>();

  /** What `page` was opened as for this layout. */
  get(prepared: Prepared, page: Uint8Array): PageView | undefined {
    const found = this.#views.get(page);
    return found?.prepared === prepared ? found.view : undefined;
  }

  set(prepared: Prepared, page: Uint8Array, view: PageView): void {
    this.#views.set(page, { prepared, view });
  }
}
