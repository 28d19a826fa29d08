// The machine's curves under the waterfall: which points, in which window, and what they say.

import type { HostProcess, HostSample, TraceHostReply } from "../../api/types";
import type { Axis } from "./axis";

export interface Point {
  /** From the trace's start. */
  ns: number;
  value: number;
}

export type LaneKind = "cpu" | "memory" | "rss" | "disk" | "swap" | Pressure;
/** Shares of the time in which tasks waited for something. */
export type Pressure = "cpuPressure" | "memoryPressure" | "ioPressure";

export interface Lane {
  kind: LaneKind;
  points: Point[];
  /** Top of the drawn scale. */
  top: number;
  /** A rate covers the time since the sample before, so it is drawn as steps. */
  rate: boolean;
}

/** How often the machine is looked at. */
export const SAMPLE_INTERVAL_NS = 1e9;
/** A process not seen for so long is gone. */
const GONE_AFTER_NS = 2.5 * SAMPLE_INTERVAL_NS;
/** Below this a trace has too few samples of its own to show a curve. */
const SHORT_NS = 2 * SAMPLE_INTERVAL_NS;
const MOST_PADDING_NS = 10e9;
/** Points drawn per lane; more than these can't be told apart. */
const MOST_POINTS = 600;
/** Memory curves that hardly move are not blown up to look like much. */
const LEAST_SPREAD = 0.02;

/** Pressure below this share of the time is noise. */
const WORTH_A_LANE = 0.05;
const PRESSURES: [Pressure, (sample: HostSample) => number | null][] = [
  ["cpuPressure", (sample) => sample.cpu_pressure],
  ["memoryPressure", (sample) => sample.memory_pressure],
  ["ioPressure", (sample) => sample.io_pressure],
];

export interface Windows {
  waterfall: Axis;
  lanes: Axis;
  /** Whether both are one axis; a short trace has lanes of their own, wider window. */
  shared: boolean;
}

/** What waterfall and lanes show: one axis, with some time before and after where it was sampled. */
export function windows(durationNs: number, sampled: Axis | null): Windows {
  const own: Axis = { fromNs: 0, toNs: Math.max(1, durationNs) };
  if (!sampled) return { waterfall: own, lanes: own, shared: true };
  if (durationNs < SHORT_NS) {
    const lanes = { fromNs: -SHORT_NS, toNs: durationNs + SHORT_NS };
    return { waterfall: own, lanes, shared: false };
  }
  const padding = Math.min(MOST_PADDING_NS, Math.max(SAMPLE_INTERVAL_NS, durationNs * 0.04));
  const both = {
    fromNs: Math.min(0, Math.max(-padding, sampled.fromNs)),
    toNs: Math.max(durationNs, Math.min(durationNs + padding, sampled.toNs)),
  };
  return { waterfall: both, lanes: both, shared: true };
}

/** The time that the samples cover; null without any. */
export function sampledTime(host: TraceHostReply, traceStartNs: number): Axis | null {
  const first = host.samples[0];
  const last = host.samples[host.samples.length - 1];
  if (!first || !last) return null;
  return { fromNs: first.time_ns - traceStartNs, toNs: last.time_ns - traceStartNs };
}

export function runtimeProcesses(host: TraceHostReply): HostProcess[] {
  return host.processes.filter((process) => process.role === "runtime");
}

/** Memory of all the runtime's processes together, at each moment one of them was seen. */
export function runtimeMemory(host: TraceHostReply, traceStartNs: number): Point[] {
  const runtimes = runtimeProcesses(host);
  const times = new Set(host.samples.map((sample) => sample.time_ns));
  for (const process of runtimes) for (const point of process.points) times.add(point.time_ns);
  const cursors = runtimes.map((process) => ({ points: process.points, next: 0 }));
  return [...times]
    .sort((a, b) => a - b)
    .map((time) => {
      let value = 0;
      for (const cursor of cursors) {
        while ((cursor.points[cursor.next]?.time_ns ?? Infinity) <= time) cursor.next += 1;
        const latest = cursor.points[cursor.next - 1];
        if (latest && time - latest.time_ns <= GONE_AFTER_NS) value += latest.rss_bytes;
      }
      return { ns: time - traceStartNs, value };
    });
}

/** How much memory the runtime took while it loaded: from about 1 s before to 1 s after. */
export function rssRise(memory: Point[], load: { fromNs: number; toNs: number }): number | null {
  const start = load.fromNs - SAMPLE_INTERVAL_NS;
  const before =
    memory.findLast((point) => point.ns <= start) ?? memory.find((point) => point.ns > start);
  const during = memory.filter(
    (point) => point.ns > start && point.ns <= load.toNs + SAMPLE_INTERVAL_NS,
  );
  if (!before || during.length === 0) return null;
  return Math.max(...during.map((point) => point.value)) - before.value;
}

export function buildLanes(host: TraceHostReply, traceStartNs: number): Lane[] {
  const samples = host.samples;
  const first = samples[0];
  if (!first) return [];
  // What a machine does not tell has no points, and is no nothing.
  const series = (figure: (sample: HostSample) => number | null): Point[] =>
    samples.flatMap((sample) => {
      const value = figure(sample);
      return value === null ? [] : [{ ns: sample.time_ns - traceStartNs, value }];
    });
  const lanes: Lane[] = [
    { kind: "cpu", points: series((s) => s.cpu_busy_cores), top: first.cpu_count, rate: true },
    {
      kind: "memory",
      points: series((s) => s.memory_used_bytes),
      top: first.memory_total_bytes,
      rate: false,
    },
  ];
  if (runtimeProcesses(host).length > 0) {
    lanes.push({ kind: "rss", points: runtimeMemory(host, traceStartNs), top: 0, rate: false });
  }
  const disk = series((s) => s.disk_read_bytes_per_s);
  if (disk.length > 0) lanes.push({ kind: "disk", points: disk, top: 0, rate: true });
  if (samples.some((s) => s.swap_used_bytes !== first.swap_used_bytes)) {
    lanes.push({ kind: "swap", points: series((s) => s.swap_used_bytes), top: 0, rate: false });
  }
  for (const [kind, share] of PRESSURES) {
    const known = series(share);
    if (known.length > 0) lanes.push({ kind, points: known, top: 1, rate: true });
  }
  return lanes;
}

/** Whether a lane has anything to show in a window: calm is the rule, and says nothing. */
export function isWorthShowing(lane: Lane, axis: Axis): boolean {
  const points = pointsWithin(lane.points, axis);
  const isPressure = PRESSURES.some(([kind]) => kind === lane.kind);
  return points.length > 1 && (!isPressure || points.some((it) => it.value >= WORTH_A_LANE));
}

/** The points of a lane in a window, with one on either side so that the curve reaches its edges. */
export function pointsWithin(points: Point[], axis: Axis): Point[] {
  const first = points.findLastIndex((point) => point.ns <= axis.fromNs);
  const last = points.findIndex((point) => point.ns >= axis.toNs);
  return thin(points.slice(Math.max(0, first), last < 0 ? points.length : last + 1));
}

/** Of each group of neighbours its least and its greatest, so that no peak is lost. */
function thin(points: Point[]): Point[] {
  if (points.length <= MOST_POINTS) return points;
  const group = Math.ceil(points.length / (MOST_POINTS / 2));
  const result: Point[] = [];
  for (let at = 0; at < points.length; at += group) {
    const part = points.slice(at, at + group);
    const low = part.reduce((least, point) => (point.value < least.value ? point : least));
    const high = part.reduce((most, point) => (point.value > most.value ? point : most));
    if (low === high) result.push(low);
    else result.push(...(low.ns < high.ns ? [low, high] : [high, low]));
  }
  return result;
}

/** Bottom and top of the scale. Memory is drawn between its own extremes: its rise is the point. */
export function laneScale(lane: Lane, shown: Point[]): { bottom: number; top: number } {
  const values = shown.map((point) => point.value);
  const least = Math.min(...values);
  const most = Math.max(...values);
  if (lane.kind === "cpu") return { bottom: 0, top: Math.max(lane.top, most) };
  if (lane.kind === "disk") return { bottom: 0, top: Math.max(1, most) };
  const spread = Math.max(most - least, most * LEAST_SPREAD, 1);
  return { bottom: Math.max(0, least - spread * 0.25), top: most + spread * 0.15 };
}

/** What the curve was at a moment. */
export function valueAt(lane: Lane, ns: number): number | null {
  const first = lane.points[0];
  const last = lane.points[lane.points.length - 1];
  if (!first || !last || ns < first.ns - SAMPLE_INTERVAL_NS || ns > last.ns + SAMPLE_INTERVAL_NS)
    return null;
  // A rate's sample speaks of the time before it, a level's of the time after it.
  const point = lane.rate
    ? lane.points.find((candidate) => candidate.ns >= ns)
    : lane.points.findLast((candidate) => candidate.ns <= ns);
  return (point ?? (lane.rate ? last : first)).value;
}

/** The curve as an SVG path in a box of the given size. */
export function curvePath(
  lane: Lane,
  shown: Point[],
  axis: Axis,
  width: number,
  height: number,
): { line: string; area: string } {
  const { bottom, top } = laneScale(lane, shown);
  const x = (ns: number): string =>
    (((ns - axis.fromNs) / Math.max(1, axis.toNs - axis.fromNs)) * width).toFixed(1);
  const y = (value: number): string =>
    (height - ((value - bottom) / (top - bottom || 1)) * height).toFixed(1);
  const first = shown[0];
  const last = shown[shown.length - 1];
  if (!first || !last) return { line: "", area: "" };
  let line = `M${x(first.ns)} ${y(first.value)}`;
  for (const point of shown.slice(1)) {
    line += lane.rate ? `V${y(point.value)}H${x(point.ns)}` : `L${x(point.ns)} ${y(point.value)}`;
  }
  return { line, area: `${line}V${height}H${x(first.ns)}Z` };
}

/** What a lane says in figures: its greatest value, or the level it went from and to. */
export function laneFigures(lane: Lane, durationNs: number): { from: number; to: number } | null {
  const within = lane.points.filter(
    (point) => point.ns >= 0 && point.ns <= durationNs + SAMPLE_INTERVAL_NS,
  );
  const before = lane.points.findLast((point) => point.ns < 0);
  if (within.length === 0) return null;
  const most = Math.max(...within.map((point) => point.value));
  return { from: (before ?? within[0])?.value ?? most, to: most };
}
