// A list of traces that grows at both ends: new ones on top, older pages below.

import type { TraceSummary } from "../../api/types";

/** Rows kept in the page; older ones are left to a narrower filter or time. */
export const MOST_ROWS = 10_000;

/** For a list in which nothing is new. */
export const NO_IDS: ReadonlySet<string> = new Set();

export interface Merged {
  rows: TraceSummary[];
  /** Ids that were not there before. */
  fresh: Set<string>;
  /** Whether rows were given up, so that the pages below have to be asked for anew. */
  restarted: boolean;
}

/**
 * Takes in the newest page. Where it doesn't reach down to the rows there are (more traces came
 * than one page holds), the old rows are given up: a hole in the list would be a lie.
 */
export function mergeNewest(rows: TraceSummary[], page: TraceSummary[], complete: boolean): Merged {
  const known = new Set(rows.map((row) => row.trace_id));
  const inPage = new Set(page.map((row) => row.trace_id));
  const fresh = new Set([...inPage].filter((id) => !known.has(id)));
  const overlaps = rows.length === 0 || rows.some((row) => inPage.has(row.trace_id));
  if (complete || !overlaps) {
    return { rows: page, fresh, restarted: true };
  }
  const oldest = page[page.length - 1];
  // Rows the page covers but does not hold no longer match the filter.
  const older = rows.filter(
    (row) => !inPage.has(row.trace_id) && oldest && row.start_ns < oldest.start_ns,
  );
  return { rows: [...page, ...older].slice(0, MOST_ROWS), fresh, restarted: false };
}

/** Puts the next page below; a trace that moved meanwhile isn't shown twice. */
export function appendOlder(rows: TraceSummary[], page: TraceSummary[]): TraceSummary[] {
  const known = new Set(rows.map((row) => row.trace_id));
  return [...rows, ...page.filter((row) => !known.has(row.trace_id))].slice(0, MOST_ROWS);
}
