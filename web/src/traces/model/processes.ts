// What each process did while a span ran.

import type { HostProcess } from "../../api/types";
import { SAMPLE_INTERVAL_NS } from "./lanes";

export interface ProcessUse {
  process: HostProcess;
  /** Mean of the samples within the span. */
  cpuCores: number;
  /** Greatest of the samples within the span. */
  rssBytes: number;
  /** No sample fell into the span; the figures are those of the one nearest to it. */
  nearest: boolean;
}

/** Rows of the table; a machine has hundreds of processes. */
const MOST = 40;

/** Times are UTC nanoseconds. Processes not seen near the span are left out; busiest first. */
export function processUses(
  processes: readonly HostProcess[],
  fromNs: number,
  toNs: number,
): ProcessUse[] {
  const uses: ProcessUse[] = [];
  for (const process of processes) {
    // A sample's CPU is that of the second before it, so the one just after the span counts too.
    const within = process.points.filter(
      (point) => point.time_ns >= fromNs && point.time_ns <= toNs + SAMPLE_INTERVAL_NS,
    );
    const nearest = within.length === 0 ? nearestPoint(process, fromNs, toNs) : null;
    const points = nearest ? [nearest] : within;
    if (points.length === 0) continue;
    uses.push({
      process,
      cpuCores: points.reduce((sum, point) => sum + point.cpu_cores, 0) / points.length,
      rssBytes: Math.max(...points.map((point) => point.rss_bytes)),
      nearest: nearest !== null,
    });
  }
  uses.sort((a, b) => b.cpuCores - a.cpuCores || b.rssBytes - a.rssBytes);
  return uses.slice(0, MOST);
}

function nearestPoint(
  process: HostProcess,
  fromNs: number,
  toNs: number,
): HostProcess["points"][number] | null {
  const distance = (time: number): number => Math.max(fromNs - time, time - toNs, 0);
  let best: HostProcess["points"][number] | null = null;
  for (const point of process.points) {
    if (distance(point.time_ns) > 2 * SAMPLE_INTERVAL_NS) continue;
    if (!best || distance(point.time_ns) < distance(best.time_ns)) best = point;
  }
  return best;
}

/** A process's CPU as the points of a small curve in a box. */
export function sparkline(
  process: HostProcess,
  fromNs: number,
  toNs: number,
  most: number,
  width: number,
  height: number,
): string {
  const shown = process.points.filter((point) => point.time_ns >= fromNs && point.time_ns <= toNs);
  const x = (time: number): number => ((time - fromNs) / Math.max(1, toNs - fromNs)) * width;
  const y = (cores: number): number =>
    height - (Math.min(cores, most) / Math.max(most, 1e-6)) * height;
  return shown.map((p) => `${x(p.time_ns).toFixed(1)},${y(p.cpu_cores).toFixed(1)}`).join(" ");
}
