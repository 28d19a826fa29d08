import { describe, expect, it } from "vitest";
import { processUses, sparkline } from "./processes";
import { process, SECOND } from "./testing";

describe("the processes during a span", () => {
  it("have the mean CPU and the greatest memory of its samples", () => {
    const busy = process("runtime", 0, [10, 20, 90, 30, 99, 99]);
    const [use] = processUses([busy], 1 * SECOND, 2 * SECOND);
    expect(use).toMatchObject({ cpuCores: 1, rssBytes: 90, nearest: false });
  });

  it("have the nearest sample where the span fell between two", () => {
    const [use] = processUses([process("runtime", 5, [70])], 3.1 * SECOND, 3.2 * SECOND);
    expect(use).toMatchObject({ rssBytes: 70, nearest: true });
  });

  it("are left out when they weren't there, and the busiest comes first", () => {
    const idle = process(null, 1, [5, 5]);
    idle.points.forEach((point) => (point.cpu_cores = 0));
    const uses = processUses(
      [idle, process("runtime", 1, [1, 1]), process(null, 500, [1])],
      1 * SECOND,
      2 * SECOND,
    );
    expect(uses.map((use) => use.process.role)).toEqual(["runtime", null]);
  });

  it("are drawn within their box", () => {
    const line = sparkline(process("runtime", 0, [1, 1, 1]), 0, 2 * SECOND, 0.5, 60, 10);
    expect(line).toBe("0.0,0.0 30.0,0.0 60.0,0.0");
  });
});
