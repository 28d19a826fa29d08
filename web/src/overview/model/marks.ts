// Marks of the axes: round moments of the reader's clock, round counts and durations.

import { dateTime } from "../../format/time";
import { ticks } from "../../traces/model/axis";
import type { Timeline } from "./timeline";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Below a day. People read clocks in these. */
const CLOCK_STEPS_MS = [
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * 1000),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR_MS),
];
const DAY_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

export interface TimeMark {
  ms: number;
  /** 0 to 1 of the axis. */
  share: number;
  label: string;
}

/** Midnight by the reader's clock, `days` after that of `ms`; a day may have 23 hours. */
function midnight(ms: number, days: number): number {
  const date = new Date(ms);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + days).getTime();
}

function clockMarks(fromMs: number, toMs: number, stepMs: number): number[] {
  const marks: number[] = [];
  for (let day = 0, start = midnight(fromMs, 0); start < toMs; day += 1) {
    const next = midnight(fromMs, day + 1);
    const skipped = Math.max(0, Math.ceil((fromMs - start) / stepMs)) * stepMs;
    for (let ms = start + skipped; ms < Math.min(next, toMs); ms += stepMs) marks.push(ms);
    start = next;
  }
  return marks;
}

function dayMarks(fromMs: number, toMs: number, days: number): number[] {
  const marks: number[] = [];
  for (let day = 1; midnight(fromMs, day) < toMs; day += days) marks.push(midnight(fromMs, day));
  return marks;
}

/** Round moments within the axis, at most about `most`. */
export function timeMarks(line: Timeline, most: number): TimeMark[] {
  const { fromMs } = line;
  const length = line.stepMs * line.count;
  const toMs = fromMs + length;
  const least = length / Math.max(1, most);
  const clock = CLOCK_STEPS_MS.find((step) => step >= least);
  const days = DAY_STEPS.find((step) => step * DAY_MS >= least) ?? Math.ceil(least / DAY_MS);
  const moments =
    clock === undefined ? dayMarks(fromMs, toMs, days) : clockMarks(fromMs, toMs, clock);
  return moments.map((ms) => ({
    ms,
    share: (ms - fromMs) / length,
    label: momentLabel(ms, clock ?? DAY_MS),
  }));
}

/** More than the charts of a page have moments. */
const MOST_KEPT = 4000;
const kept = new Map<number, string>();

/**
 * A moment's formatter takes longer to make than all else of a chart, and all charts of a page have
 * the same moments, most of them from one look to the next.
 */
function momentText(ms: number): string {
  let text = kept.get(ms);
  if (text === undefined) {
    if (kept.size >= MOST_KEPT) kept.clear();
    text = dateTime(ms * 1e6, "en");
    kept.set(ms, text);
  }
  return text;
}

/** As short as the step allows: 10:24:05, 10:24, 11-25; midnight is the day that it begins. */
function momentLabel(ms: number, stepMs: number): string {
  const text = momentText(ms);
  if (stepMs >= DAY_MS || text.slice(11, 19) === "00:00:00") return text.slice(5, 10);
  return stepMs < MINUTE_MS ? text.slice(11, 19) : text.slice(11, 16);
}

/** From when to when a step lasts, as short as its length allows: «11-25 10:15–10:30». */
export function stepLabel(fromMs: number, toMs: number): string {
  const [from, to] = [momentText(fromMs), momentText(toMs)];
  const end = (toMs - fromMs) % MINUTE_MS === 0 ? 16 : 19;
  const sameDay = from.slice(0, 10) === to.slice(0, 10);
  return `${from.slice(5, end)}–${sameDay ? to.slice(11, end) : to.slice(5, end)}`;
}

export interface Scale {
  /** What the whole height is. */
  top: number;
  marks: number[];
}

const MOST_MARKS = 3;

/** A scale for whole numbers from 0 to at least `most`. */
export function countScale(most: number): Scale {
  if (most <= 0) return { top: 1, marks: [] };
  const least = most / MOST_MARKS;
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find((value) => value * power >= least) ?? 10;
  return stepped(most, Math.max(1, factor * power));
}

/** A scale for durations, whose round values are those of clocks. */
export function durationScale(mostNs: number): Scale {
  if (mostNs <= 0) return { top: 1, marks: [] };
  const [, step = mostNs] = ticks({ fromNs: 0, toNs: mostNs * 1.000001 }, MOST_MARKS);
  return stepped(mostNs, step);
}

function stepped(most: number, step: number): Scale {
  const count = Math.max(1, Math.ceil(most / step - 1e-9));
  return { top: count * step, marks: Array.from({ length: count }, (_, at) => (at + 1) * step) };
}
