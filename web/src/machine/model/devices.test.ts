import { describe, expect, it } from "vitest";
import { energy, filled, gpus, temperatures } from "./devices";
import { device, LINE, point } from "./testing";

const hot = (id: string, celsius: number, name: string | null = null) =>
  device(
    "temperature",
    id,
    [point(0, { temperature_c: celsius - 5, temperature_peak_c: celsius })],
    name,
  );

describe("the temperatures", () => {
  it("are those of the hottest by their peak, in the machine's order; the rest is counted", () => {
    const all = [30, 80, 40, 50, 60, 70, 35, 90].map((celsius) => hot(`t${celsius}`, celsius));
    const found = temperatures(LINE, all);
    expect(found?.curve.series.map(({ name }) => name)).toEqual([
      "t80",
      "t40",
      "t50",
      "t60",
      "t70",
      "t90",
    ]);
    expect(found?.left).toBe(2);
    expect(found?.curve.scale.top).toBeGreaterThanOrEqual(90);
    expect(new Set(found?.curve.series.map(({ colour }) => colour)).size).toBe(6);
  });

  it("are nothing, not 0, where nobody told, and no chart where nobody tells at all", () => {
    const sensor = device("temperature", "a", [
      point(0, { temperature_c: 50 }),
      point(1),
      point(3, { temperature_c: 0 }),
    ]);
    expect(temperatures(LINE, [sensor])?.curve.series[0]?.values).toEqual([50, null, null, 0]);
    expect(temperatures(LINE, [device("temperature", "a", [point(0)])])).toBeNull();
    expect(temperatures(LINE, [])).toBeNull();
    // As the server says it: what is unknown is left out.
    const { time_ns } = point(1);
    const told = filled({
      ...device("temperature", "a", []),
      points: [{ time_ns, temperature_c: 9 }],
    });
    expect(told.points).toEqual([point(1, { temperature_c: 9 })]);
  });

  it("are called as the machine calls them, with the place where two are called the same", () => {
    const all = [
      hot("cpu/1", 60, "Tctl"),
      hot("nvme-1/1", 50, "Disk"),
      hot("nvme-2/1", 40, "Disk"),
    ];
    expect(temperatures(LINE, all)?.curve.series.map(({ called }) => called)).toEqual([
      "Tctl",
      "Disk (nvme-1/1)",
      "Disk (nvme-2/1)",
    ]);
  });
});

describe("the energy", () => {
  it("is watts of each meter", () => {
    const found = energy(LINE, [
      device("energy", "rapl:0", [point(0), point(1, { power_w: 61 })], "package-0"),
      device("temperature", "t", [point(0, { power_w: 9 })]),
    ]);
    expect(found?.curve.unit).toBe("watts");
    expect(found?.curve.series.map(({ values }) => values)).toEqual([[null, 61, null, null]]);
  });
});

describe("the GPUs", () => {
  const GIB = 1024 ** 3;
  const full = point(0, {
    utilization: 0.5,
    utilization_peak: 1,
    memory_used_bytes: 10 * GIB,
    memory_total_bytes: 24 * GIB,
    power_w: 200,
    power_limit_w: 450,
    temperature_c: 60,
    temperature_peak_c: 66,
    throttled: 0.5,
  });

  it("have curves up to what they have at most", () => {
    const [card] = gpus(LINE, [device("gpu", "GPU-1", [full, point(1, { throttled: 0 })], "RTX")]);
    expect(card?.curves.map(({ name, scale: { top } }) => [name, top])).toEqual([
      ["gpuUse", 1],
      ["gpuMemory", 24 * GIB],
      ["gpuPower", 450],
      ["gpuTemperature", 100],
    ]);
    expect(card?.curves[2]?.scale.marks).toEqual([200, 450]);
    expect(card?.curves[0]?.series[0]?.values).toEqual([0.5, null, null, null]);
    expect(card).toMatchObject({ name: "RTX", throttled: 0.25 });
  });

  it("have no curve of what they do not tell, and no card where they tell nothing", () => {
    const little = device("gpu", "0000:03:00.0", [point(0, { utilization: 0, power_limit_w: 9 })]);
    const [card] = gpus(LINE, [little]);
    expect(card?.curves.map(({ name }) => name)).toEqual(["gpuUse"]);
    expect(card).toMatchObject({ name: "0000:03:00.0", throttled: null });
    expect(gpus(LINE, [device("gpu", "a", [point(0)]), device("cpu", "cpu0", [full])])).toEqual([]);
  });

  it("are numbered where they are the same card", () => {
    const found = gpus(
      LINE,
      ["a", "b"].map((id) => device("gpu", id, [full], "H100")),
    );
    expect(found.map(({ name }) => name)).toEqual(["H100 #1", "H100 #2"]);
  });
});
