// What the machine's charts draw: one entry for each step of time, null where nobody looked or the
// kernel does not tell.

import type { HostSample, Machine } from "../../api/types";
import type { Scale } from "../../overview/model/marks";
import { greatest, type Bar } from "../../overview/model/series";
import { stepAt, type Timeline } from "../../overview/model/timeline";
import { rateScale, SHARE_SCALE, wholeScale } from "./scales";

export type CurveName =
  | "cpu"
  | "memory"
  | "pressure"
  | "disk"
  | "network"
  | "swap"
  | "temperatures"
  | "energy"
  | "gpuUse"
  | "gpuMemory"
  | "gpuPower"
  | "gpuTemperature";
export type Unit = "cores" | "share" | "bytes" | "rate" | "watts" | "celsius";
export type SeriesName =
  | "user"
  | "system"
  | "steal"
  | "iowait"
  | "peak"
  | "used"
  | "cached"
  | "cpu"
  | "memory"
  | "disk"
  | "read"
  | "write"
  | "receive"
  | "send"
  | "swapIn"
  | "swapOut"
  | "power"
  | "limit"
  | "mean";

/** Named in the page's words, or by its id and called as the machine calls it. */
type Named = { name: SeriesName; called?: undefined } | { name: string; called: string };

export type Series = Named & {
  colour: string;
  /** Null in the key alone. */
  drawn: "layer" | "line" | "thin" | null;
  unit: Unit;
  values: (number | null)[];
  /** The greatest sample of each step; null where the series is of peaks itself. */
  peaks: (number | null)[] | null;
};

export interface Curve {
  name: CurveName;
  unit: Unit;
  scale: Scale;
  series: Series[];
}

const lighter = (colour: string): string => `color-mix(in srgb, ${colour} 42%, var(--panel))`;
/** The same hues as on the page of a trace. */
const CPU = "var(--svc-1)";
const DISK = "var(--svc-2)";
const MEMORY = "var(--svc-3)";
const NETWORK = "var(--svc-4)";
const STEAL = "var(--svc-5)";
const SWAP = "var(--svc-6)";
const PEAK = "color-mix(in srgb, var(--ink-3) 70%, var(--panel))";

type Figure = (sample: HostSample) => number | null;

/** The samples at their steps; null where nobody looked. */
export function slotsOf<Sample extends { time_ns: number }>(
  line: Timeline,
  samples: readonly Sample[],
): (Sample | null)[] {
  const result = new Array<Sample | null>(line.count).fill(null);
  for (const sample of samples) {
    const step = stepAt(line, sample.time_ns);
    if (step !== null) result[step] = sample;
  }
  return result;
}

/**
 * The layers come to what was at work in all. Where our cgroup is limited that is its own, while the
 * kernel tells stolen time, itself and programs apart for the whole machine only.
 */
const stolen: Figure = (at) =>
  at.cpu_steal_cores === null ? null : Math.min(at.cpu_steal_cores, at.cpu_busy_cores);
const working = (at: HostSample): number => at.cpu_busy_cores - (stolen(at) ?? 0);
const inKernel: Figure = (at) =>
  at.cpu_system_cores === null ? null : Math.min(at.cpu_system_cores, working(at));
const inPrograms: Figure = (at) => working(at) - (inKernel(at) ?? 0);

/** The charts that this machine has something for, in their order. */
export function curves(line: Timeline, machine: Machine): Curve[] {
  const means = slotsOf(line, machine.mean);
  const peaks = slotsOf(line, machine.peak);
  const of = (slots: (HostSample | null)[], figure: Figure): (number | null)[] =>
    slots.map((at) => (at ? figure(at) : null));
  const most = (figure: Figure): number => greatest(of(peaks, figure));
  const series = (
    name: SeriesName,
    drawn: Series["drawn"],
    colour: string,
    unit: Unit,
    figure: Figure,
  ): Series => ({
    name,
    drawn,
    colour,
    unit,
    values: of(means, figure),
    peaks: of(peaks, figure),
  });

  const cpu: Curve = {
    name: "cpu",
    unit: "cores",
    scale: wholeScale(most((at) => at.cpu_count)),
    series: [
      series("user", "layer", CPU, "cores", inPrograms),
      series("system", "layer", lighter(CPU), "cores", inKernel),
      series("steal", "layer", STEAL, "cores", stolen),
      series("iowait", "layer", DISK, "cores", (at) => at.cpu_iowait_cores),
      {
        name: "peak",
        drawn: "thin",
        colour: PEAK,
        unit: "cores",
        values: of(peaks, (at) => at.cpu_busy_cores),
        peaks: null,
      },
    ],
  };
  const memory: Curve = {
    name: "memory",
    unit: "bytes",
    scale: wholeScale(most((at) => at.memory_total_bytes)),
    series: [
      series("used", "layer", MEMORY, "bytes", (at) => at.memory_used_bytes),
      series("cached", "layer", lighter(MEMORY), "bytes", (at) => at.memory_cached_bytes),
    ],
  };
  const pressure: Curve = {
    name: "pressure",
    unit: "share",
    scale: SHARE_SCALE,
    series: [
      series("cpu", "line", CPU, "share", (at) => at.cpu_pressure),
      series("memory", "line", MEMORY, "share", (at) => at.memory_pressure),
      series("disk", "line", DISK, "share", (at) => at.io_pressure),
    ],
  };
  const disk = rates("disk", [
    series("read", "line", DISK, "rate", (at) => at.disk_read_bytes_per_s),
    series("write", "line", SWAP, "rate", (at) => at.disk_write_bytes_per_s),
  ]);
  const network = rates("network", [
    series("receive", "line", NETWORK, "rate", (at) => at.network_receive_bytes_per_s),
    series("send", "line", STEAL, "rate", (at) => at.network_send_bytes_per_s),
  ]);
  const swap: Curve = {
    name: "swap",
    unit: "bytes",
    scale: wholeScale(most((at) => at.swap_total_bytes)),
    series: [
      series("used", "layer", SWAP, "bytes", (at) => at.swap_used_bytes),
      series("swapIn", null, "", "rate", (at) => at.swap_in_bytes_per_s),
      series("swapOut", null, "", "rate", (at) => at.swap_out_bytes_per_s),
    ],
  };
  const hasSwap = most((at) => at.swap_total_bytes) > 0;
  return [cpu, memory, pressure, disk, network, ...(hasSwap ? [swap] : [])].filter(isTold);
}

const isTold = ({ series }: Curve): boolean =>
  series.some(({ values }) => values.some((value) => value !== null));

function rates(name: CurveName, series: Series[]): Curve {
  const most = Math.max(...series.map(({ values }) => greatest(values)));
  return { name, unit: "rate", scale: rateScale(most), series };
}

/** What all layers of the CPU but the waiting for the disk come to: what was at work. */
export function busyCores({ series }: Curve, step: number): number | null {
  const parts = series.filter(({ name }) => name !== "peak" && name !== "iowait");
  const known = parts.flatMap(({ values }) => values[step] ?? []);
  return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) : null;
}

/** Less than this part of the height is not drawn: of nothing it would make a stripe. */
const LEAST_SHARE = 0.003;

/** Layers of bars that stand on each other, the first at the bottom. */
export function layers(series: readonly Series[], top: number): Bar[][] {
  const reached: number[] = [];
  return series.map(({ values }) =>
    values.flatMap((value, step) => {
      const from = reached[step] ?? 0;
      const to = Math.min(1, from + (value ?? 0) / top);
      reached[step] = to;
      return to - from >= LEAST_SHARE ? [{ step, from, to }] : [];
    }),
  );
}

/** Of all steps that are known. */
export function meanOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

/** The greatest of what is known. */
export function mostOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? Math.max(...known) : null;
}
