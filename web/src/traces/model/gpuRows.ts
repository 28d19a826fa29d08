// What each GPU did around a span, as curves beside those of the rest of the machine.

import type { DeviceSample, TraceHostReply } from "../../api/types";
import { rowFigures, type Row } from "./infrastructure";

export const GPU_ROWS = ["gpuUse", "gpuMemory", "gpuPower"] as const;
export type GpuRowName = (typeof GPU_ROWS)[number];

/**
 * Rows of each GPU that tells something. One that did nothing all the time has its rows too: that a
 * call left it idle is what one wants to see.
 */
export function gpuRows(host: TraceHostReply, fromNs: number, toNs: number): Row[] {
  const cards = new Map<string, DeviceSample[]>();
  for (const sample of host.devices) {
    if (sample.kind !== "gpu") continue;
    const samples = cards.get(sample.id);
    if (samples) samples.push(sample);
    else cards.set(sample.id, [sample]);
  }
  const names = [...cards].map(([id, samples]) => samples[0]?.name ?? id);
  return [...cards].flatMap(([id, samples], at) => {
    const name = names[at] ?? id;
    const isOne = names.filter((other) => other === name).length === 1;
    // The same card twice: told apart by the order in which they are listed.
    const called = isOne
      ? name
      : `${name} #${names.slice(0, at + 1).filter((n) => n === name).length}`;
    const sorted = samples.sort((a, b) => a.time_ns - b.time_ns);
    return GPU_ROWS.flatMap((row) => {
      const told = toldBy(row, sorted);
      if (told.lane.points.length === 0) return [];
      const figures = rowFigures(told.lane.points, fromNs, toNs);
      return [{ ...told, name: row, device: { id, name: called }, figures }];
    });
  });
}

/** Use and power come with what they can reach at most; memory is drawn between its own extremes. */
function toldBy(name: GpuRowName, samples: DeviceSample[]): Pick<Row, "unit" | "lane"> {
  const points = (of: (sample: DeviceSample) => number | null | undefined) =>
    samples.flatMap((sample) => {
      const value = of(sample) ?? null;
      return value === null ? [] : [{ ns: sample.time_ns, value }];
    });
  switch (name) {
    case "gpuUse":
      return {
        unit: "share",
        lane: { kind: "cpu", top: 1, rate: true, points: points((at) => at.utilization) },
      };
    case "gpuMemory":
      return {
        unit: "bytes",
        lane: { kind: "memory", top: 0, rate: false, points: points((at) => at.memory_used_bytes) },
      };
    case "gpuPower": {
      const limit = Math.max(0, ...samples.map((at) => at.power_limit_w ?? 0));
      return {
        unit: "watts",
        lane: { kind: "cpu", top: limit, rate: true, points: points((at) => at.power_w) },
      };
    }
  }
}
