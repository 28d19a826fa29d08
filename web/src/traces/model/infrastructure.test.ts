import { describe, expect, it } from "vitest";
import type { HostSample, TraceHostReply } from "../../api/types";
import { infrastructure, type RowName } from "./infrastructure";
import { hostSample, SECOND } from "./testing";

const host = (samples: HostSample[]): TraceHostReply => ({
  host: null,
  from_ns: 0,
  to_ns: 100 * SECOND,
  samples,
  processes: [],
  devices: [],
});

const busy = (cores: number[], more: Partial<HostSample> = {}): TraceHostReply =>
  host(cores.map((cpu_busy_cores, at) => hostSample(at, { cpu_busy_cores, ...more })));

const row = (told: ReturnType<typeof infrastructure>, name: RowName) => {
  const found = told.rows.find((it) => it.name === name);
  if (!found) throw new Error(`no ${name}`);
  return found;
};

describe("the machine around a span", () => {
  it("has a rate's mean and peak within the span, whose last second is told just after it", () => {
    const told = infrastructure(busy([0, 1, 2, 0, 9]), 0.5 * SECOND, 2.5 * SECOND);
    expect(row(told, "cpu").figures).toMatchObject({ mean: 1, peak: 2 });
    expect(told.nearest).toBe(false);
  });

  it("has what a level went from and to", () => {
    const levels = [10, 20, 90, 30, 70];
    const samples = levels.map((memory_used_bytes, at) => hostSample(at, { memory_used_bytes }));
    const told = infrastructure(host(samples), 1.5 * SECOND, 2.5 * SECOND);
    expect(row(told, "memory").figures).toMatchObject({ from: 20, to: 30 });
  });

  it("has the nearest sample where the span fell between two, and says so", () => {
    const told = infrastructure(
      host([1, 2, 5].map((at) => hostSample(at, { cpu_busy_cores: at }))),
      3.2 * SECOND,
      3.3 * SECOND,
    );
    expect(told.nearest).toBe(true);
    expect(row(told, "cpu").figures).toMatchObject({ mean: 2, peak: 2, from: 2, to: 2 });
    const far = infrastructure(busy([1, 1]), 50 * SECOND, 51 * SECOND);
    expect(row(far, "cpu").figures).toBeNull();
  });

  it("tells apart what was nothing all the time and what nobody tells", () => {
    const told = infrastructure(
      busy([1, 1], { cpu_pressure: 0.0001, swap_in_bytes_per_s: 0 }),
      0,
      1,
    );
    expect(told.rows.map(({ name }) => name)).toEqual(["cpu"]);
    expect(told.calm).toContain("cpuPressure");
    expect(told.calm).toContain("swapIn");
    expect(told.calm).toContain("swap");
    expect(told.untold).toContain("swapOut");
    expect(told.untold).toContain("throttled");
    expect(new Set([...told.calm, ...told.untold]).size).toBe(18);
  });

  it("draws cores up to all of them, and counts who was ended for want of memory", () => {
    const told = infrastructure(busy([1, 1], { oom_kills: 1 }), 0, SECOND);
    expect(row(told, "cpu").lane).toMatchObject({ kind: "cpu", top: 2, rate: true });
    expect(told.oomKills).toBe(2);
  });
});
