import { describe, expect, it } from "vitest";
import type { DeviceSample, TraceHostReply } from "../../api/types";
import { gpuRows } from "./gpuRows";
import { deviceSample as sample, SECOND } from "./testing";

const host = (devices: DeviceSample[]): TraceHostReply => ({
  host: "gpu-box",
  from_ns: 0,
  to_ns: 100 * SECOND,
  samples: [],
  processes: [],
  devices,
});
const rows = (devices: DeviceSample[]) => gpuRows(host(devices), SECOND, 2 * SECOND);

describe("the GPUs around a span", () => {
  it("have what they did, an idle one too, and nothing of what they do not tell", () => {
    const found = rows([
      sample(1, { utilization: 0, power_w: 90, power_limit_w: 300 }),
      sample(2, { utilization: 0, power_w: 110, power_limit_w: 300 }),
    ]);
    expect(found.map(({ name }) => name)).toEqual(["gpuUse", "gpuPower"]);
    expect(found[0]?.figures).toMatchObject({ mean: 0, peak: 0 });
    expect(found[1]).toMatchObject({ unit: "watts", lane: { top: 300 }, figures: { peak: 110 } });
  });

  it("have gaps, not 0, where nothing was told", () => {
    const [use] = rows([1, 2, 3].map((at) => sample(at, { utilization: at === 2 ? null : 0.5 })));
    expect(use?.lane.points.map(({ ns }) => ns)).toEqual([SECOND, 3 * SECOND]);
  });

  it("are told apart where two are called the same, and other parts are none", () => {
    const found = rows([
      sample(1, { utilization: 1 }),
      sample(1, { id: "GPU-2", utilization: 0 }),
      sample(1, { kind: "cpu", id: "cpu0", utilization: 1 }),
    ]);
    expect(found.map(({ device }) => device?.name)).toEqual(["RTX #1", "RTX #2"]);
    expect(rows([sample(1, { kind: "temperature", temperature_c: 5 })])).toEqual([]);
  });
});
