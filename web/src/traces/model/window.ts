// Which rows of a long list are worth drawing.

/** Rows drawn beyond what is seen, so that a quick scroll finds them there. */
const AROUND = 6;

export interface Seen {
  first: number;
  /** One after the last. */
  end: number;
}

/**
 * @param above pixels of the list that lie above the viewport (negative: the list begins below)
 */
export function seenRows(above: number, viewport: number, rowHeight: number, count: number): Seen {
  const first = Math.floor(above / rowHeight) - AROUND;
  const end = Math.ceil((above + viewport) / rowHeight) + AROUND;
  const clamp = (row: number): number => Math.min(count, Math.max(0, row));
  return { first: clamp(first), end: clamp(end) };
}
