// All that the machine did around a span: one small curve for each figure that moved.

import type { HostSample, TraceHostReply } from "../../api/types";
import type { GpuRowName } from "./gpuRows";
import { SAMPLE_INTERVAL_NS, type Lane, type Point } from "./lanes";

export const ROWS = [
  "cpu",
  "steal",
  "iowait",
  "load",
  "memory",
  "cached",
  "swap",
  "swapIn",
  "swapOut",
  "cpuPressure",
  "memoryPressure",
  "ioPressure",
  "memoryStall",
  "diskRead",
  "diskWrite",
  "receive",
  "send",
  "faults",
  "throttled",
] as const;
type HostRowName = (typeof ROWS)[number];
export type RowName = HostRowName | GpuRowName;
export type RowUnit = "cores" | "number" | "bytes" | "rate" | "share" | "perSecond" | "watts";

interface Figure {
  unit: RowUnit;
  /** A rate covers the time since the sample before; a level is as it is. */
  rate: boolean;
  of: (sample: HostSample) => number | null;
}

const rate = (unit: RowUnit, of: Figure["of"]): Figure => ({ unit, rate: true, of });
const level = (unit: RowUnit, of: Figure["of"]): Figure => ({ unit, rate: false, of });

const FIGURES: Record<HostRowName, Figure> = {
  cpu: rate("cores", (at) => at.cpu_busy_cores),
  steal: rate("cores", (at) => at.cpu_steal_cores),
  iowait: rate("cores", (at) => at.cpu_iowait_cores),
  load: level("number", (at) => at.load_1m),
  memory: level("bytes", (at) => at.memory_used_bytes),
  cached: level("bytes", (at) => at.memory_cached_bytes),
  swap: level("bytes", (at) => at.swap_used_bytes),
  swapIn: rate("rate", (at) => at.swap_in_bytes_per_s),
  swapOut: rate("rate", (at) => at.swap_out_bytes_per_s),
  cpuPressure: rate("share", (at) => at.cpu_pressure),
  memoryPressure: rate("share", (at) => at.memory_pressure),
  ioPressure: rate("share", (at) => at.io_pressure),
  memoryStall: rate("share", (at) => at.memory_stall),
  diskRead: rate("rate", (at) => at.disk_read_bytes_per_s),
  diskWrite: rate("rate", (at) => at.disk_write_bytes_per_s),
  receive: rate("rate", (at) => at.network_receive_bytes_per_s),
  send: rate("rate", (at) => at.network_send_bytes_per_s),
  faults: rate("perSecond", (at) => at.major_faults_per_s),
  throttled: rate("share", (at) => at.cpu_throttled),
};

/** What is less than this all the time is written as nothing, and so it is calm. */
const CALM_BELOW: Record<RowUnit, number> = {
  cores: 0.005,
  number: 0.005,
  bytes: 1,
  rate: 1,
  share: 0.0005,
  perSecond: 0.5,
  watts: 0.5,
};

export interface RowFigures {
  /** Of a rate within the span. */
  mean: number;
  peak: number;
  /** Of a level, where the span began and ended. */
  from: number;
  to: number;
}

export interface Row {
  name: RowName;
  /** Of which part of the machine; null for the whole of it. */
  device: { id: string; name: string } | null;
  unit: RowUnit;
  /** As the curves under the waterfall are drawn, in nanoseconds since 1970. */
  lane: Lane;
  /** Null where nobody looked near the span. */
  figures: RowFigures | null;
}

export interface Infrastructure {
  rows: Row[];
  /** Nothing all the time. */
  calm: RowName[];
  /** The kernel does not tell it. */
  untold: RowName[];
  oomKills: number;
  /** No sample fell into the span; the figures are those of the one nearest to it. */
  nearest: boolean;
}

/** Times are UTC nanoseconds. */
export function infrastructure(host: TraceHostReply, fromNs: number, toNs: number): Infrastructure {
  const result: Infrastructure = {
    rows: [],
    calm: [],
    untold: [],
    oomKills: host.samples.reduce((sum, at) => sum + (at.oom_kills ?? 0), 0),
    nearest: !host.samples.some((at) => isWithin(at.time_ns, fromNs, toNs)),
  };
  const cores = host.samples[0]?.cpu_count ?? 0;
  for (const name of ROWS) {
    const { unit, rate, of } = FIGURES[name];
    const points = host.samples.flatMap((sample) => {
      const value = of(sample);
      return value === null ? [] : [{ ns: sample.time_ns, value }];
    });
    if (points.length === 0) result.untold.push(name);
    else if (points.every(({ value }) => value < CALM_BELOW[unit])) result.calm.push(name);
    else {
      result.rows.push({
        name,
        device: null,
        unit,
        lane: { ...scaled(unit, cores), points, rate },
        figures: rowFigures(points, fromNs, toNs),
      });
    }
  }
  return result;
}

/** What decides the scale: cores up to all of them, memory between its own extremes, others from 0. */
function scaled(unit: RowUnit, cores: number): Pick<Lane, "kind" | "top"> {
  if (unit === "cores") return { kind: "cpu", top: cores };
  return { kind: unit === "bytes" ? "memory" : "disk", top: 0 };
}

/** A sample's rates are those of the second before it, so the one just after the span counts too. */
function isWithin(ns: number, fromNs: number, toNs: number): boolean {
  return ns >= fromNs && ns <= toNs + SAMPLE_INTERVAL_NS;
}

export function rowFigures(points: Point[], fromNs: number, toNs: number): RowFigures | null {
  const within = points.filter(({ ns }) => isWithin(ns, fromNs, toNs));
  const [near] = within.length > 0 ? within : nearestPoints(points, fromNs, toNs);
  if (!near) return null;
  const values = within.length > 0 ? within.map(({ value }) => value) : [near.value];
  const before = points.findLast(({ ns }) => ns <= fromNs);
  return {
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    peak: Math.max(...values),
    from: within.length > 0 ? (before ?? near).value : near.value,
    to: values.at(-1) ?? near.value,
  };
}

/** The one that is nearest, unless it is too far away to say anything. */
function nearestPoints(points: Point[], fromNs: number, toNs: number): Point[] {
  const distance = ({ ns }: Point): number => Math.max(fromNs - ns, ns - toNs, 0);
  const near = points.filter((point) => distance(point) <= 2 * SAMPLE_INTERVAL_NS);
  return near.sort((a, b) => distance(a) - distance(b)).slice(0, 1);
}
