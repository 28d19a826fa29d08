// A row of names that is wider than its box, as on a phone: which part of it is seen.

/** Of what the chosen one's neighbours are, so much is seen, to tell that there is more. */
const NEIGHBOUR_PX = 28;

/** Where a box must be scrolled to, to show a part of it; as it is where that is seen. */
export function scrollFor(
  box: { width: number; left: number },
  part: { from: number; width: number },
): number {
  const first = part.from + part.width + NEIGHBOUR_PX - box.width;
  const last = part.from - NEIGHBOUR_PX;
  return Math.max(0, Math.min(Math.max(box.left, first), last));
}

/** Scrolls sideways only: the page stays where it is. */
export function bringIntoSight(box: HTMLElement, part: HTMLElement): void {
  const from = part.offsetLeft - box.offsetLeft;
  box.scrollLeft = scrollFor(
    { width: box.clientWidth, left: box.scrollLeft },
    { from, width: part.offsetWidth },
  );
}
