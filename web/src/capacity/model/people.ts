// The chart of people: how long until the first token, the more of them ask.

import type { People, PeoplePoint } from "../../api/types";
import { countScale, durationScale, type Scale } from "../../overview/model/marks";

export interface PeopleChart {
  /** People at the right end. */
  right: number;
  across: number[];
  upwards: Scale;
  /** The asked limit, 0 to 1 from the bottom. */
  limit: number;
  /** The most for whom it is enough, 0 to 1 from the left; null where nothing is to be marked. */
  enough: number | null;
}

/** So far above the limit the curve is of no use any more, and it would press the rest down. */
const MOST_OF_LIMIT = 2.2;
/** The limit itself stands in the picture, with some room above. */
const LEAST_OF_LIMIT = 1.3;
const NS_PER_S = 1e9;

/** Null where one point does not make a curve. */
export function peopleChart({ points, most, wait_s }: People): PeopleChart | null {
  const right = points.at(-1)?.people ?? 0;
  if (points.length < 2 || right === 0) return null;
  const limitNs = wait_s * NS_PER_S;
  const slowest = Math.max(...points.map(({ first_p90_ns }) => first_p90_ns));
  const needed = Math.min(limitNs * MOST_OF_LIMIT, Math.max(slowest, limitNs * LEAST_OF_LIMIT));
  const upwards = durationScale(needed);
  return {
    right,
    across: countScale(right).marks.filter((mark) => mark <= right),
    upwards,
    limit: limitNs / upwards.top,
    enough: most !== null && most > 0 ? most / right : null,
  };
}

/** On a grid of `width` by 100; what is above the top is cut off by the drawing. */
export function peoplePath(
  points: readonly PeoplePoint[],
  value: (point: PeoplePoint) => number,
  { right, upwards }: PeopleChart,
  width: number,
): string {
  return points
    .map((point, at) => {
      const x = ((point.people / right) * width).toFixed(2);
      const y = (100 * (1 - value(point) / upwards.top)).toFixed(2);
      return `${at === 0 ? "M" : "L"}${x} ${y}`;
    })
    .join("");
}

/** The point that is nearest to a place, 0 to 1 of the width. */
export function nearest(
  points: readonly PeoplePoint[],
  share: number,
  right: number,
): PeoplePoint | null {
  const wanted = share * right;
  return points.reduce<PeoplePoint | null>((best, point) => {
    const isNearer = !best || Math.abs(point.people - wanted) < Math.abs(best.people - wanted);
    return isNearer ? point : best;
  }, null);
}

/** How it is for the most for whom it is enough; for one where it is enough for nobody. */
export function pointOf({ points, most }: People): PeoplePoint | null {
  return points.find(({ people }) => people === Math.max(1, most ?? 1)) ?? null;
}
