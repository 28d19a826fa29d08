// From when to when models were in memory: a lane for each model, a bar for each time that it stayed.

import type { ModelStay, ModelStays } from "../../api/types";
import type { Stretch } from "../../traces/route";

/**
 * How an end of a bar is drawn: it was seen, or nobody looked at that time, or it lies beyond the
 * axis, or the model is still there.
 */
export type Edge = "seen" | "unseen" | "cut" | "open";
/** Why it left; `here` where it did not. */
export type Leave = "here" | "expired" | "evicted" | "runtime_gone" | "anew" | "unknown" | "unseen";

export interface Bar {
  stay: ModelStay;
  /** The same from one answer to the next. */
  key: string;
  /** 0 to 1 of the axis. */
  start: number;
  end: number;
  startEdge: Edge;
  endEdge: Edge;
  /** For how long, as far as that was seen. */
  lengthNs: number;
  leave: Leave;
}

export interface StayLane {
  model: string;
  /** Null where all models are of one runtime. */
  runtime: string | null;
  key: string;
  bars: Bar[];
}

const laneKey = ({ runtime, model }: ModelStay): string => `${runtime}\n${model}`;

/** By runtime and model; what lies outside of the axis is left out. */
export function stayLanes(answer: ModelStays, axis: Stretch): StayLane[] {
  const isOfSeveral = new Set(answer.stays.map(({ runtime }) => runtime)).size > 1;
  const lanes = new Map<string, StayLane>();
  const inOrder = [...answer.stays].sort(
    (a, b) =>
      a.runtime.localeCompare(b.runtime) || a.model.localeCompare(b.model) || a.from_ns - b.from_ns,
  );
  inOrder.forEach((stay, at) => {
    const bar = drawn(stay, inOrder[at + 1], answer.to_ns, axis);
    if (!bar) return;
    const key = laneKey(stay);
    const runtime = isOfSeveral ? stay.runtime : null;
    const lane = lanes.get(key) ?? { model: stay.model, runtime, key, bars: [] };
    lanes.set(key, lane);
    lane.bars.push(bar);
  });
  return [...lanes.values()];
}

/** `toNs` is where the asked time ends: nothing is known beyond it. */
function drawn(
  stay: ModelStay,
  next: ModelStay | undefined,
  toNs: number,
  { fromMs, toMs }: Stretch,
): Bar | null {
  const endNs = stay.to_ns ?? toNs;
  const share = (ns: number): number => (ns / 1e6 - fromMs) / (toMs - fromMs);
  const [from, to] = [share(stay.from_ns), share(endNs)];
  if (to < 0 || from > 1) return null;
  return {
    stay,
    key: `${laneKey(stay)}\n${stay.from_ns}`,
    start: Math.max(0, from),
    end: Math.min(1, to),
    startEdge: from < 0 ? "cut" : stay.was_seen_to_come ? "seen" : "unseen",
    endEdge:
      to > 1 ? "cut" : stay.to_ns === null ? "open" : stay.was_seen_to_go ? "seen" : "unseen",
    lengthNs: Math.max(0, endNs - stay.from_ns),
    leave: leaveOf(stay, next),
  };
}

function leaveOf(stay: ModelStay, next: ModelStay | undefined): Leave {
  if (stay.to_ns === null) return "here";
  if (stay.reason) return stay.reason;
  if (!stay.was_seen_to_go) return "unseen";
  const isBack = next && laneKey(next) === laneKey(stay) && next.from_ns === stay.to_ns;
  return isBack ? "anew" : "unknown";
}

/**
 * What is in doubt before a bar and at its end, as parts of the bar: what was seen happened after the
 * look before, which is `share` of the axis earlier.
 */
export function doubts(bar: Bar, share: number): { before: number; last: number } {
  const length = Math.max(1e-9, bar.end - bar.start);
  return {
    before: bar.startEdge === "seen" ? Math.min(share, bar.start) / length : 0,
    last: bar.endEdge === "seen" ? Math.min(1, share / length) : 0,
  };
}

/** The bar that an arrow key leads to: the one before or after, or the nearest of another lane. */
export function besideBar(lanes: readonly StayLane[], at: string, arrow: string): Bar | null {
  const row = lanes.findIndex(({ bars }) => bars.some(({ key }) => key === at));
  const bars = lanes[row]?.bars ?? [];
  const column = bars.findIndex(({ key }) => key === at);
  const here = bars[column];
  if (!here) return null;
  if (arrow === "ArrowLeft") return bars[column - 1] ?? null;
  if (arrow === "ArrowRight") return bars[column + 1] ?? null;
  if (arrow !== "ArrowUp" && arrow !== "ArrowDown") return null;
  const others = lanes[row + (arrow === "ArrowUp" ? -1 : 1)]?.bars ?? [];
  const middle = ({ start, end }: Bar): number => (start + end) / 2;
  const distance = (bar: Bar): number => Math.abs(middle(bar) - middle(here));
  return [...others].sort((a, b) => distance(a) - distance(b))[0] ?? null;
}

/** Those that were in memory at a place of the axis, 0 to 1. */
export function staysAt(lanes: readonly StayLane[], from: number, to: number): Bar[] {
  return lanes.flatMap(({ bars }) => bars.filter(({ start, end }) => start < to && end > from));
}
