import { describe, expect, it } from "vitest";
import type { HostSample, Machine } from "../../api/types";
import { timeline } from "../../overview/model/timeline";
import { hostSample, SECOND } from "../../traces/model/testing";
import { busyCores, curves, layers, meanOf, mostOf, type Curve, type SeriesName } from "./curves";

const STEP = 10;

/** Steps of ten seconds from second 1000 on. */
function machine(samples: [step: number, mean: Partial<HostSample>, peak?: Partial<HostSample>][]) {
  const at = (step: number, more: Partial<HostSample> = {}): HostSample =>
    hostSample(1000 + step * STEP, more);
  return {
    from_ns: 1003 * SECOND,
    to_ns: 1038 * SECOND,
    step_ns: STEP * SECOND,
    mean: samples.map(([step, mean]) => at(step, mean)),
    peak: samples.map(([step, mean, peak]) => at(step, { ...mean, ...peak })),
    processes: [],
    devices: [],
    is_partial: false,
  } satisfies Machine;
}

const drawn = (answer: Machine): Curve[] => curves(timeline(answer), answer);

function named(all: Curve[], name: Curve["name"]): Curve {
  const found = all.find((curve) => curve.name === name);
  if (!found) throw new Error(`no ${name}`);
  return found;
}

const values = (curve: Curve, name: SeriesName): (number | null)[] | undefined =>
  curve.series.find((series) => series.name === name)?.values;

describe("the machine's curves", () => {
  it("stand at their steps, and are nothing, not 0, where nobody looked", () => {
    const all = drawn(
      machine([
        [0, { memory_used_bytes: 5 }],
        [2, { memory_used_bytes: 7 }],
      ]),
    );
    expect(values(named(all, "memory"), "used")).toEqual([5, null, 7, null]);
    expect(values(named(all, "memory"), "cached")).toEqual([null, null, null, null]);
  });

  it("come to what was at work, with the waiting on top and the peak beside", () => {
    const mean = {
      cpu_busy_cores: 1.5,
      cpu_user_cores: 1,
      cpu_system_cores: 0.25,
      cpu_steal_cores: 0.25,
      cpu_iowait_cores: 0.125,
    };
    const cpu = named(drawn(machine([[0, mean, { cpu_busy_cores: 2 }]])), "cpu");
    expect(cpu.series.map(({ name, values: [value] }) => [name, value])).toEqual([
      ["user", 1],
      ["system", 0.25],
      ["steal", 0.25],
      ["iowait", 0.125],
      ["peak", 2],
    ]);
    expect(busyCores(cpu, 0)).toBe(1.5);
    expect(busyCores(cpu, 1)).toBeNull();
    expect(cpu.scale).toEqual({ top: 2, marks: [1, 2] });
  });

  it("hold together where the kernel tells less, or tells it of more than our share", () => {
    const old = named(drawn(machine([[0, { cpu_busy_cores: 1.5, cpu_steal_cores: 0.5 }]])), "cpu");
    expect(values(old, "user")?.[0]).toBe(1);
    expect(values(old, "system")?.[0]).toBeNull();
    const limited = { cpu_busy_cores: 0.5, cpu_user_cores: 6, cpu_steal_cores: 1 };
    expect(busyCores(named(drawn(machine([[0, limited]])), "cpu"), 0)).toBe(0.5);
  });

  it("are left out where there is no swap and no word of pressure, or of a disk", () => {
    const names = (answer: Machine): string[] => drawn(answer).map(({ name }) => name);
    const untold = { disk_read_bytes_per_s: null, disk_write_bytes_per_s: null };
    expect(names(machine([[0, { ...untold, swap_total_bytes: null }]]))).toEqual([
      "cpu",
      "memory",
      "network",
    ]);
    expect(names(machine([[0, {}]]))).toEqual(["cpu", "memory", "disk", "network"]);
    expect(names(machine([[0, { swap_total_bytes: 9, io_pressure: 0 }]]))).toEqual([
      "cpu",
      "memory",
      "pressure",
      "disk",
      "network",
      "swap",
    ]);
  });
});

describe("layers", () => {
  const series = (...values: (number | null)[]) => ({
    name: "user" as const,
    colour: "",
    drawn: "layer" as const,
    unit: "cores" as const,
    values,
    peaks: null,
  });

  it("stand on each other, end at the top, and make no stripe of nothing", () => {
    expect(layers([series(1, null, 3), series(1, 2, 3), series(0.001, 0, 1)], 4)).toEqual([
      [
        { step: 0, from: 0, to: 0.25 },
        { step: 2, from: 0, to: 0.75 },
      ],
      [
        { step: 0, from: 0.25, to: 0.5 },
        { step: 1, from: 0, to: 0.5 },
        { step: 2, from: 0.75, to: 1 },
      ],
      [],
    ]);
  });
});

describe("the figures of all the time", () => {
  it("are of what is known", () => {
    expect(meanOf([1, null, 3])).toBe(2);
    expect(mostOf([1, null, -3])).toBe(1);
    expect([meanOf([null]), mostOf([])]).toEqual([null, null]);
  });
});
