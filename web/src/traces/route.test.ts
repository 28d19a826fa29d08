import { describe, expect, it } from "vitest";
import {
  askedTimes,
  EMPTY_CAPACITY,
  EMPTY_LIST,
  EMPTY_MACHINE,
  EMPTY_OVERVIEW,
  endedTimes,
  parseRoute,
  routeHref,
  type Route,
} from "./route";

const at = (path: string): Route => parseRoute(new URL(path, "http://127.0.0.1:3000"));
const ID = "4bf92f3577b34da6a3ce929d0e0e4736";

describe("addresses", () => {
  it("reads the list at /andon/ and at /andon/traces", () => {
    expect(at("/andon/")).toEqual(EMPTY_LIST);
    expect(at("/andon/traces?q=status%3Aerror&range=1h")).toEqual({
      ...EMPTY_LIST,
      q: "status:error",
      range: "1h",
    });
  });

  it("gives back every state that it writes", () => {
    const states = [
      EMPTY_LIST,
      { ...EMPTY_LIST, q: 'model:"a b" -status:error 東京', range: "all" as const },
      { ...EMPTY_LIST, stretch: { fromMs: 1_700_000_000_000, toMs: 1_700_000_060_000 } },
      { page: "trace" as const, traceId: ID, spanId: "00f067aa0ba902b7", tab: "json" as const },
      {
        page: "trace" as const,
        traceId: ID,
        spanId: null,
        tab: "infrastructure" as const,
      },
      { page: "runtimes" as const },
      EMPTY_MACHINE,
      { ...EMPTY_MACHINE, range: "24h" as const },
      { ...EMPTY_MACHINE, host: "箱 & 1", range: "24h" as const },
      { ...EMPTY_MACHINE, stretch: { fromMs: 1_700_000_000_000, toMs: 1_700_000_060_000 } },
      EMPTY_CAPACITY,
      {
        ...EMPTY_CAPACITY,
        range: "30d" as const,
        question: { ...EMPTY_CAPACITY.question, runtime: "vllm", keep: "2h" as const, wait: 0.5 },
      },
      { ...EMPTY_CAPACITY, stretch: { fromMs: 1_700_000_000_000, toMs: 1_700_000_060_000 } },
      EMPTY_OVERVIEW,
      { ...EMPTY_OVERVIEW, q: 'cause:cold_start model:"a b"', range: "30d" as const },
      { ...EMPTY_OVERVIEW, stretch: { fromMs: 1_700_000_000_000, toMs: 1_700_000_060_000 } },
    ];
    for (const state of states) expect(at(routeHref(state))).toEqual(state);
  });

  it("gives the overview ranges of its own", () => {
    expect(at("/andon/overview")).toEqual(EMPTY_OVERVIEW);
    expect(at("/andon/overview/?range=30d")).toMatchObject({ page: "overview", range: "30d" });
    expect(at("/andon/overview?range=15m&from=x")).toEqual(EMPTY_OVERVIEW);
    expect(at("/andon/traces?range=30d")).toEqual(EMPTY_LIST);
    expect(routeHref(EMPTY_OVERVIEW)).toBe("/andon/overview");
  });

  it("gives the machine ranges of its own, of which the shortest is the usual one", () => {
    expect(at("/andon/machine")).toEqual(EMPTY_MACHINE);
    expect(at("/andon/machine/?range=24h")).toEqual({ ...EMPTY_MACHINE, range: "24h" });
    expect(at("/andon/machine?range=30d&from=x")).toEqual(EMPTY_MACHINE);
    expect(routeHref(EMPTY_MACHINE)).toBe("/andon/machine");
    expect(at("/andon/machine?host=gpu-box")).toEqual({ ...EMPTY_MACHINE, host: "gpu-box" });
    expect(at("/andon/machine?host=")).toEqual(EMPTY_MACHINE);
    expect(routeHref({ ...EMPTY_MACHINE, range: "24h" })).toBe("/andon/machine?range=24h");
    expect(at("/andon/machines")).toMatchObject({ page: "unknown" });
  });

  it("gives capacity a week, and its questions beside the time", () => {
    expect(at("/andon/capacity")).toEqual(EMPTY_CAPACITY);
    expect(at("/andon/capacity?range=1h&wait=-3")).toEqual(EMPTY_CAPACITY);
    expect(routeHref(EMPTY_CAPACITY)).toBe("/andon/capacity");
    const asked = at("/andon/capacity/?range=24h&threads=4");
    expect(asked).toMatchObject({ range: "24h", question: { threads: 4 } });
  });

  it("falls back where a part is not what it should be", () => {
    expect(at("/andon/traces?range=never&from=x&to=y")).toEqual(EMPTY_LIST);
    expect(at(`/andon/traces/${ID}?span=zz&tab=zz`)).toMatchObject({ spanId: null, tab: "io" });
    expect(at("/andon/traces/123")).toEqual({ page: "unknown", path: "/andon/traces/123" });
    expect(at("/andon/traces?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z")).toEqual(
      EMPTY_LIST,
    );
  });
});

describe("the asked times", () => {
  it("follow the range, and the dragged stretch before it", () => {
    expect(askedTimes({ ...EMPTY_LIST, range: "15m" }, 1_000_000)).toEqual({
      fromMs: 100_000,
      toMs: null,
    });
    expect(askedTimes({ ...EMPTY_LIST, range: "all" }, 1_000_000)).toEqual({
      fromMs: null,
      toMs: null,
    });
    const stretch = { fromMs: 5, toMs: 9 };
    expect(askedTimes({ ...EMPTY_LIST, stretch }, 1_000_000)).toEqual(stretch);
  });

  it("of overview and machine have an end too, so that all its questions mean the same", () => {
    expect(endedTimes({ ...EMPTY_OVERVIEW, range: "24h" }, 86_400_005)).toEqual({
      fromMs: 5,
      toMs: 86_400_005,
    });
    // A month begins with an hour.
    expect(endedTimes({ ...EMPTY_OVERVIEW, range: "30d" }, 2_595_600_005)).toEqual({
      fromMs: 3_600_000,
      toMs: 2_595_600_005,
    });
    expect(endedTimes(EMPTY_MACHINE, 1_000_000)).toEqual({ fromMs: 100_000, toMs: 1_000_000 });
    const stretch = { fromMs: 5, toMs: 9 };
    expect(endedTimes({ ...EMPTY_OVERVIEW, stretch }, 1_000_000)).toEqual(stretch);
  });
});
