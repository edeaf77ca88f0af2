/** Limits on definitions: generous for people, and what keeps every page, plan and request bounded. */

/** Characters of a name. */
export const MAX_NAME_LENGTH = 128;
/** Columns of an entity key. */
export const MAX_KEY_COLUMNS = 8;
/** Columns of a source or of a request. */
export const MAX_COLUMNS = 4096;
/** Features of one view. */
export const MAX_FEATURES = 4096;
/** Members of one service, and views that one on-demand view uses. */
export const MAX_MEMBERS = 1024;
/** n of `overLast(n)`. */
export const MAX_OVER_LAST = 100_000;
/** Fallbacks of one feature. */
export const MAX_FALLBACKS = 8;
/** Look-ups that follow one another: a view via a feature of a view via … */
export const MAX_LOOKUP_DEPTH = 4;
