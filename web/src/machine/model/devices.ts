// Curves of the machine's parts: GPUs, temperatures, energy. What a part does not tell has no
// curve, and where it does not tell it for a while the curve has a gap.

import type { DeviceAnswer, DevicePoint, DeviceUse } from "../../api/types";
import { countScale } from "../../overview/model/marks";
import { greatest } from "../../overview/model/series";
import type { Timeline } from "../../overview/model/timeline";
import { meanOf, mostOf, slotsOf, type Curve, type Series } from "./curves";
import { heldScale, rateScale, SHARE_SCALE, wholeScale } from "./scales";

/** The same hues as for the machine; lines of a chart that is all of one kind take them in turn. */
const USE = "var(--svc-1)";
const POWER = "var(--svc-2)";
const MEMORY = "var(--svc-3)";
const HEAT = "var(--svc-5)";
const PEAK = "color-mix(in srgb, var(--ink-3) 70%, var(--panel))";
const LINES = [1, 2, 3, 4, 5, 6].map((number) => `var(--svc-${number})`);

type Figure = (point: DevicePoint) => number | null;
type Values = (number | null)[];

export const NOTHING_TOLD: Omit<DevicePoint, "time_ns"> = {
  utilization: null,
  utilization_peak: null,
  frequency_hz: null,
  temperature_c: null,
  temperature_peak_c: null,
  power_w: null,
  power_limit_w: null,
  memory_used_bytes: null,
  memory_total_bytes: null,
  throttled: null,
};

/** The server leaves out what is unknown: 64 cores would be mostly that. Here it is null as all else. */
export function filled(device: DeviceAnswer): DeviceUse {
  return { ...device, points: device.points.map((at) => ({ ...NOTHING_TOLD, ...at })) };
}

/** 0 to 1 of the time; null where nobody tells. */
export function throttledShare(device: DeviceUse): number | null {
  return meanOf(device.points.map((at) => at.throttled));
}

export interface Gpu {
  id: string;
  name: string;
  curves: Curve[];
  throttled: number | null;
}

export function gpus(line: Timeline, devices: readonly DeviceUse[]): Gpu[] {
  const cards = devices.filter(({ kind }) => kind === "gpu");
  return cards
    .map((card) => ({
      id: card.id,
      name: numbered(card, cards),
      curves: gpuCurves(line, card),
      throttled: throttledShare(card),
    }))
    .filter(({ curves }) => curves.length > 0);
}

/** Eight of the same card are told apart by their number; an id of forty digits tells nobody which. */
function numbered(card: DeviceUse, cards: readonly DeviceUse[]): string {
  if (card.name === null) return card.id;
  const same = cards.filter(({ name }) => name === card.name);
  return same.length > 1 ? `${card.name} #${same.indexOf(card) + 1}` : card.name;
}

function gpuCurves(line: Timeline, card: DeviceUse): Curve[] {
  const slots = slotsOf(line, card.points);
  const of = (figure: Figure): Values => slots.map((at) => (at ? figure(at) : null));
  const limit = of((at) => at.power_limit_w);
  const power = of((at) => at.power_w);
  const used = of((at) => at.memory_used_bytes);
  const total = greatest(of((at) => at.memory_total_bytes));
  const peak = (unit: Series["unit"], values: Values): Series => ({
    name: "peak",
    drawn: "thin",
    colour: PEAK,
    unit,
    values,
    peaks: null,
  });
  const heat = of((at) => at.temperature_peak_c);
  const all: Curve[] = [
    {
      name: "gpuUse",
      unit: "share",
      scale: SHARE_SCALE,
      series: [
        {
          name: "mean",
          drawn: "layer",
          colour: USE,
          unit: "share",
          values: of((at) => at.utilization),
          peaks: of((at) => at.utilization_peak),
        },
        peak(
          "share",
          of((at) => at.utilization_peak),
        ),
      ],
    },
    {
      name: "gpuMemory",
      unit: "bytes",
      scale: total > 0 ? wholeScale(total) : rateScale(greatest(used)),
      series: [
        { name: "used", drawn: "layer", colour: MEMORY, unit: "bytes", values: used, peaks: null },
      ],
    },
    {
      name: "gpuPower",
      unit: "watts",
      scale: heldScale(greatest(limit), greatest(power)),
      series: [
        { name: "power", drawn: "line", colour: POWER, unit: "watts", values: power, peaks: null },
        { name: "limit", drawn: "thin", colour: PEAK, unit: "watts", values: limit, peaks: null },
      ],
    },
    {
      name: "gpuTemperature",
      unit: "celsius",
      scale: countScale(greatest(heat)),
      series: [
        {
          name: "mean",
          drawn: "line",
          colour: HEAT,
          unit: "celsius",
          values: of((at) => at.temperature_c),
          peaks: heat,
        },
        peak("celsius", heat),
      ],
    },
  ];
  // By its first line: a limit alone says nothing of what happened.
  return all.filter(({ series: [first] }) => first && mostOf(first.values) !== null);
}

/** Lines of more are not told apart. */
const MOST_LINES = LINES.length;

export interface Chosen {
  curve: Curve;
  /** How many more there are that are not drawn. */
  left: number;
}

/** The hottest sensors by their peak; null where there are none. */
export function temperatures(line: Timeline, devices: readonly DeviceUse[]): Chosen | null {
  const sensors = devices.filter(({ kind }) => kind === "temperature");
  return chosen("temperatures", "celsius", line, sensors, {
    value: (at) => at.temperature_c,
    peak: (at) => at.temperature_peak_c ?? at.temperature_c,
  });
}

/** The meters that drew most; null where there are none. */
export function energy(line: Timeline, devices: readonly DeviceUse[]): Chosen | null {
  const meters = devices.filter(({ kind }) => kind === "energy");
  return chosen("energy", "watts", line, meters, { value: (at) => at.power_w, peak: null });
}

function chosen(
  name: "temperatures" | "energy",
  unit: "celsius" | "watts",
  line: Timeline,
  devices: readonly DeviceUse[],
  of: { value: Figure; peak: Figure | null },
): Chosen | null {
  const peakOf = (device: DeviceUse): number | null =>
    mostOf(device.points.map(of.peak ?? of.value));
  const ranked = devices
    .flatMap((device) => {
      const peak = peakOf(device);
      return peak === null ? [] : [{ device, peak }];
    })
    .sort((a, b) => b.peak - a.peak);
  const [hottest] = ranked;
  if (!hottest) return null;
  const shown = ranked.slice(0, MOST_LINES).map(({ device }) => device);
  // In the order of the answer, so that a line keeps its colour while it overtakes another.
  const inOrder = devices.filter((device) => shown.includes(device));
  return {
    left: ranked.length - shown.length,
    curve: {
      name,
      unit,
      scale: countScale(hottest.peak),
      series: inOrder.map((device, at): Series => {
        const slots = slotsOf(line, device.points);
        const values = (figure: Figure): Values => slots.map((it) => (it ? figure(it) : null));
        return {
          name: device.id,
          called: calledOf(device, devices),
          drawn: "line",
          colour: LINES[at % LINES.length] ?? "",
          unit,
          values: values(of.value),
          peaks: of.peak ? values(of.peak) : null,
        };
      }),
    },
  };
}

/** Two disks have a sensor called «Composite» each: then it is the chip that tells them apart. */
function calledOf(device: DeviceUse, all: readonly DeviceUse[]): string {
  if (device.name === null) return device.id;
  const isOne = all.filter(({ name }) => name === device.name).length === 1;
  return isOne ? device.name : `${device.name} (${device.id})`;
}
