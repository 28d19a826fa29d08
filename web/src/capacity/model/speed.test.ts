import { describe, expect, it } from "vitest";
import { timeline } from "../../overview/model/timeline";
import { modelLines, modelRows, MOST_LINES, speeds, stepFacts } from "./speed";
import { capacity, curvePoint, MEASURED, model } from "./testing";

describe("the lines", () => {
  const answer = capacity([
    model("fast", {
      curve: [
        curvePoint(1, { written_per_s: 20, calls: 2 }),
        curvePoint(3, { written_per_s: 30, loads: 1, load_ns: 5e9, queue_ns: 1e9 }),
      ],
    }),
    model("slow", { curve: [curvePoint(3, { read_per_s: 7, calls: 4, queue_ns: 2e9 })] }),
  ]);
  const lines = modelLines(timeline(answer), answer.models);

  it("stand at their steps, and are nothing, not 0, where nobody called", () => {
    expect(lines.map((line) => speeds(line, "written"))).toEqual([
      [null, 20, null, 30, null, null, null, null, null, null],
      new Array(10).fill(null),
    ]);
    expect(lines[1] && speeds(lines[1], "read")[3]).toBe(7);
  });

  it("say what else there was in a step", () => {
    expect(stepFacts(lines, 0)).toBeNull();
    expect(stepFacts(lines, 1)).toEqual({ calls: 2, loaded: [], queueNs: 0 });
    expect(stepFacts(lines, 3)).toEqual({
      calls: 5,
      loaded: [{ model: "fast", ns: 5e9 }],
      queueNs: 2e9,
    });
  });

  it("are few enough to be told apart", () => {
    const many = Array.from({ length: 9 }, (_, at) => model(`m${at}`));
    const found = modelLines(timeline(answer), many);
    expect(found).toHaveLength(MOST_LINES);
    expect(new Set(found.map(({ colour }) => colour)).size).toBe(MOST_LINES);
    expect(modelRows(capacity(many)).map(({ colour }) => colour !== null)).toEqual(
      many.map((_, at) => at < MOST_LINES),
    );
  });
});

describe("the rows", () => {
  it("have the middle of the calls and all of their loads", () => {
    const [row] = modelRows(
      capacity([
        model("m", {
          written_per_s: { p50: 10, p95: 90 },
          curve: [curvePoint(0, { loads: 2 }), curvePoint(1, { loads: 1 }), curvePoint(2)],
        }),
      ]),
    );
    expect(row).toMatchObject({ written: 10, read: null, loads: 3, bound: null });
  });

  it("have what of the bound is reached, usually and at best", () => {
    const bound = { written_per_s: 40, read_per_s: null, written_share: 0.9, read_share: null };
    const written_per_s = { p50: 30, p95: 36 };
    const answer = capacity([model("m", { bound, written_per_s })], { measured: MEASURED });
    expect(modelRows(answer)[0]).toMatchObject({
      written: 30,
      bound: { most: 40, usual: 0.75, best: 0.9 },
      lack: null,
    });
    const short = { ...bound, written_share: null };
    expect(modelRows(capacity([model("m", { bound: short })]))[0]).toMatchObject({
      written: null,
      bound: { most: 40, usual: null, best: null },
    });
  });

  it("say why there is no bound", () => {
    const lacks = (measured: typeof MEASURED | null) =>
      modelRows(capacity([model("a"), model("b", { size_bytes: 5 })], { measured })).map(
        ({ lack }) => lack,
      );
    expect(lacks(null)).toEqual(["unmeasured", "unmeasured"]);
    expect(lacks(MEASURED)).toEqual(["size", "gpu"]);
  });
});
