import { describe, expect, it } from "vitest";
import type { TraceHostReply } from "../../api/types";
import {
  buildLanes,
  laneFigures,
  curvePath,
  isWorthShowing,
  pointsWithin,
  rssRise,
  runtimeMemory,
  sampledTime,
  valueAt,
  windows,
} from "./lanes";
import { hostSample, process, SECOND } from "./testing";

const host = (more: Partial<TraceHostReply> = {}): TraceHostReply => ({
  host: null,
  from_ns: 0,
  to_ns: 10 * SECOND,
  samples: Array.from({ length: 11 }, (_, second) => hostSample(second)),
  processes: [],
  devices: [],
  ...more,
});

describe("the lanes", () => {
  const calm = (second: number) => hostSample(second, { memory_pressure: 0 });
  const kinds = (more: Parameters<typeof hostSample>[1]) =>
    buildLanes(host({ samples: [calm(0), hostSample(1, more), calm(2)] }), 0)
      .filter((lane) => isWorthShowing(lane, { fromNs: 0, toNs: 2 * SECOND }))
      .map((lane) => lane.kind);

  it("are few while the machine is calm", () => {
    expect(kinds({ cpu_pressure: 0.01, memory_pressure: 0, io_pressure: null })).toEqual([
      "cpu",
      "memory",
      "disk",
    ]);
  });

  it("say nothing of a disk of which the machine tells nothing", () => {
    const untold = [0, 1].map((second) => hostSample(second, { disk_read_bytes_per_s: null }));
    expect(buildLanes(host({ samples: untold }), 0).map((lane) => lane.kind)).toEqual([
      "cpu",
      "memory",
    ]);
  });

  it("tell of swap and of waiting where there was some", () => {
    expect(kinds({ swap_used_bytes: 5, memory_pressure: 0.3 })).toEqual([
      "cpu",
      "memory",
      "disk",
      "swap",
      "memoryPressure",
    ]);
  });
});

describe("the window", () => {
  it("shows the time around a trace as far as it was sampled", () => {
    const both = windows(30 * SECOND, { fromNs: -0.5 * SECOND, toNs: 99 * SECOND });
    expect(both.shared).toBe(true);
    expect(both.lanes).toEqual({ fromNs: -0.5 * SECOND, toNs: 31.2 * SECOND });
  });

  it("is wider than a trace shorter than the samples are apart", () => {
    const both = windows(0.3 * SECOND, { fromNs: -5 * SECOND, toNs: 5 * SECOND });
    expect(both.shared).toBe(false);
    expect(both.waterfall).toEqual({ fromNs: 0, toNs: 0.3 * SECOND });
    expect(both.lanes.fromNs).toBeLessThan(-SECOND);
  });

  it("never cuts the trace off where samples are missing", () => {
    const both = windows(30 * SECOND, { fromNs: 10 * SECOND, toNs: 20 * SECOND });
    expect(both.lanes.fromNs).toBe(0);
    expect(both.lanes.toNs).toBe(30 * SECOND);
    expect(windows(5, null).lanes).toEqual({ fromNs: 0, toNs: 5 });
  });
});

describe("the memory of the runtime", () => {
  it("rises by what loading took, not by what came later", () => {
    const memory = runtimeMemory(
      host({ processes: [process("runtime", 0, [62, 62, 62, 200, 400, 404, 404, 900])] }),
      0,
    );
    expect(rssRise(memory, { fromNs: 2.5 * SECOND, toNs: 4.2 * SECOND })).toBe(404 - 62);
  });

  it("counts a process that began with the load from nothing", () => {
    const memory = runtimeMemory(host({ processes: [process("runtime", 3, [300, 500, 500])] }), 0);
    expect(rssRise(memory, { fromNs: 2.9 * SECOND, toNs: 4 * SECOND })).toBe(500);
  });

  it("is the sum of its processes and ends with them", () => {
    const both = host({
      processes: [
        process("runtime", 0, [10, 10, 10]),
        process("runtime", 2, [5, 5, 5, 5, 5, 5, 5, 5, 5]),
        process("andon", 0, [999]),
      ],
    });
    const memory = runtimeMemory(both, 0).map((point) => point.value);
    expect(memory.slice(0, 4)).toEqual([10, 10, 15, 15]);
    expect(memory[10]).toBe(5);
  });

  it("is unknown without samples around the load", () => {
    expect(rssRise([], { fromNs: 0, toNs: 1 })).toBeNull();
    expect(rssRise([{ ns: 0, value: 5 }], { fromNs: 9 * SECOND, toNs: 10 * SECOND })).toBeNull();
  });
});

describe("the lanes", () => {
  it("are none without samples, and leave the runtime out where it wasn’t seen", () => {
    expect(buildLanes(host({ samples: [] }), 0)).toEqual([]);
    expect(buildLanes(host(), 0).map((lane) => lane.kind)).toEqual(["cpu", "memory", "disk"]);
    expect(sampledTime(host({ samples: [] }), 0)).toBeNull();
  });

  it("reach to the edges of the window and keep a peak among many points", () => {
    const points = Array.from({ length: 5000 }, (_, i) => ({ ns: i, value: i === 2500 ? 99 : 1 }));
    const shown = pointsWithin(points, { fromNs: 10.5, toNs: 4000.5 });
    expect(shown.length).toBeLessThan(700);
    expect(shown[0]?.ns).toBe(10);
    expect(Math.max(...shown.map((point) => point.value))).toBe(99);
  });

  it("draw a rate as steps that cover the time before each sample", () => {
    const cpu = buildLanes(
      host({
        samples: [
          hostSample(0),
          hostSample(1, { cpu_busy_cores: 2 }),
          hostSample(2, { cpu_busy_cores: 1 }),
        ],
      }),
      0,
    )[0];
    if (!cpu) throw new Error("no lane");
    expect(curvePath(cpu, cpu.points, { fromNs: 0, toNs: 2 * SECOND }, 100, 10).line).toBe(
      "M0.0 10.0V0.0H50.0V5.0H100.0",
    );
    expect(valueAt(cpu, 0.5 * SECOND)).toBe(2);
    expect(valueAt(cpu, 99 * SECOND)).toBeNull();
  });

  it("say from where to where a level went, from before the trace to its peak", () => {
    const lane = {
      kind: "rss" as const,
      points: [-2, -1, 0, 1, 2, 9].map((second, i) => ({
        ns: second * SECOND + 5,
        value: [1, 62, 70, 404, 300, 999][i] ?? 0,
      })),
      top: 0,
      rate: false,
    };
    expect(laneFigures(lane, 2 * SECOND)).toEqual({ from: 62, to: 404 });
    expect(laneFigures({ ...lane, points: [] }, SECOND)).toBeNull();
  });
});
