import { describe, expect, it } from "vitest";
import type { ModelStay, ModelStays } from "../../api/types";
import { machine as en } from "../../i18n/en/machine";
import { machine as ja } from "../../i18n/ja/machine";
import { runtimes } from "../../i18n/en/runtimes";
import type { Language } from "../../i18n/language.svelte";
import { besideBar, doubts, stayLanes, staysAt, type StayLane } from "./stays";
import { laneLabel, stayWords } from "./stayWords";

/** Ten minutes, of which a minute is a tenth. */
const START_MS = Date.UTC(2026, 10, 25, 1, 0);
const MINUTE_NS = 60e9;
const AXIS = { fromMs: START_MS, toMs: START_MS + 600_000 };
const at = (minute: number): number => START_MS * 1e6 + minute * MINUTE_NS;

function stay(from: number, to: number | null, more: Partial<ModelStay> = {}): ModelStay {
  return {
    runtime: "ollama",
    model: "granite",
    from_ns: at(from),
    was_seen_to_come: true,
    to_ns: to === null ? null : at(to),
    was_seen_to_go: to !== null,
    reason: null,
    other_model: null,
    memory_bytes: null,
    gpu_bytes: null,
    context_length: null,
    expires_ns: null,
    ...more,
  };
}

const answer = (stays: ModelStay[], to = 10): ModelStays => ({
  from_ns: at(0),
  to_ns: at(to),
  stays,
  is_partial: false,
});
const lanes = (stays: ModelStay[], to = 10): StayLane[] => stayLanes(answer(stays, to), AXIS);
const bars = (stays: ModelStay[], to = 10) => lanes(stays, to).flatMap((lane) => lane.bars);

describe("the lanes of models in memory", () => {
  it("are one for each model, by runtime and name, with its times in their order", () => {
    const found = lanes([
      stay(5, 6, { runtime: "vllm", model: "a" }),
      stay(7, 8, { model: "qwen" }),
      stay(3, null, { model: "granite" }),
      stay(1, 2, { model: "granite" }),
    ]);
    expect(found.map((lane) => laneLabel(lane, en.stays))).toEqual([
      "granite · ollama",
      "qwen · ollama",
      "a · vllm",
    ]);
    expect(found[0]?.bars.map(({ start }) => start)).toEqual([0.1, 0.3]);
  });

  it("name the runtime only where there are several", () => {
    const found = lanes([stay(1, 2), stay(3, 4, { model: "qwen" })]);
    expect(found.map((lane) => laneLabel(lane, en.stays))).toEqual(["granite", "qwen"]);
  });

  it("are cut to the axis, and what lies outside of it is not drawn", () => {
    expect(bars([stay(-2, 3)])[0]).toMatchObject({ start: 0, end: 0.3, startEdge: "cut" });
    expect(bars([stay(8, 12)], 12)[0]).toMatchObject({ start: 0.8, end: 1, endEdge: "cut" });
    expect(lanes([stay(-2, -1), stay(11, 12)], 12)).toEqual([]);
  });

  it("go on to now where the model is there, not to the end of the last step", () => {
    const [bar] = bars([stay(2, null)], 9);
    expect(bar).toMatchObject({ start: 0.2, end: 0.9, endEdge: "open", leave: "here" });
    expect(bar?.lengthNs).toBe(7 * MINUTE_NS);
  });

  it("have no edge where nobody saw it come or go", () => {
    const unseen = stay(2, 5, { was_seen_to_come: false, was_seen_to_go: false });
    expect(bars([unseen])[0]).toMatchObject({ startEdge: "unseen", endEdge: "unseen" });
    expect(bars([unseen])[0]?.leave).toBe("unseen");
  });

  it("tell one that was let go from one that was loaded anew at once", () => {
    expect(bars([stay(1, 3), stay(3, null)]).map(({ leave }) => leave)).toEqual(["anew", "here"]);
    expect(bars([stay(1, 3), stay(4, null)])[0]?.leave).toBe("unknown");
    expect(bars([stay(1, 3), stay(3, null, { model: "z" })])[0]?.leave).toBe("unknown");
  });
});

describe("the doubt about a bar", () => {
  const of = (from: number, to: number | null, more: Partial<ModelStay> = {}) => {
    const [bar] = bars([stay(from, to, more)]);
    return bar && doubts(bar, 0.1);
  };

  it("is as long as the looks are apart, but no longer than there is room", () => {
    expect(of(2, 4)).toEqual({ before: 0.5, last: 0.5 });
    expect(of(0.5, 1)?.before).toBeCloseTo(1);
    expect(of(2, 2.5)?.last).toBe(1);
  });

  it("is not about what was not seen, or has not ended", () => {
    expect(of(2, null)).toEqual({ before: 0.125, last: 0 });
    const unseen = { was_seen_to_come: false, was_seen_to_go: false };
    expect(of(2, 4, unseen)).toEqual({ before: 0, last: 0 });
  });
});

describe("the arrow keys", () => {
  const found = lanes([
    stay(0, 1),
    stay(6, 7),
    stay(2, 3, { model: "qwen" }),
    stay(8, 9, { model: "qwen" }),
  ]);
  const [first, second, third, fourth] = found.flatMap((lane) => lane.bars);
  const beside = (bar: typeof first, arrow: string) => besideBar(found, bar?.key ?? "", arrow);

  it("lead to the one before and after, and to the nearest of the next lane", () => {
    expect(beside(first, "ArrowRight")).toBe(second);
    expect(beside(first, "ArrowLeft")).toBeNull();
    expect(beside(second, "ArrowRight")).toBeNull();
    expect(beside(first, "ArrowDown")).toBe(third);
    expect(beside(second, "ArrowDown")).toBe(fourth);
    expect(beside(fourth, "ArrowUp")).toBe(second);
    expect(beside(first, "ArrowUp")).toBeNull();
    expect(beside(first, "Home")).toBeNull();
  });
});

describe("a step of the axis", () => {
  it("has the models that were there in any of it", () => {
    const found = lanes([stay(0, 2), stay(1.5, 3, { model: "qwen" })]);
    const models = (from: number, to: number) =>
      staysAt(found, from, to).map((bar) => bar.stay.model);
    expect(models(0.1, 0.16)).toEqual(["granite", "qwen"]);
    expect(models(0.2, 0.3)).toEqual(["qwen"]);
    expect(models(0.5, 0.6)).toEqual([]);
  });
});

describe("a stay in words", () => {
  const GIB = 1024 ** 3;
  function told(of: ModelStay, isNow = true, language: Language = "en") {
    const [bar] = bars([of]);
    if (!bar) throw new Error("it is not drawn");
    const words = (language === "en" ? en : ja).stays;
    const nowMs = AXIS.toMs;
    const { onGpu } = runtimes;
    return stayWords(bar, { words, onGpu, language, isNow, nowMs, timeZone: "UTC" });
  }

  it("says from when to when, what it took and why it left", () => {
    const known = { memory_bytes: 4 * GIB, gpu_bytes: GIB, context_length: 4096 };
    expect(told(stay(1, 6.5, { ...known, reason: "expired" }))).toEqual({
      times: "01:01:00 – 01:06:30 · 5 min 30 s",
      facts: "4.00 GiB · 25 % on the GPU · context 4,096",
      why: "Idle until its time was up",
    });
    expect(told(stay(1, 6, { reason: "evicted", other_model: "qwen" })).why).toBe(
      "Pushed out by qwen",
    );
    expect(told(stay(1, 6, { reason: "runtime_gone" })).why).toBe("The runtime ended");
    expect(told(stay(1, 6)).why).toBe("It was let go, or its time was shorter");
    expect(told(stay(1, 6)).facts).toBe("");
    expect(told(stay(1, 2, { reason: "expired" }), true, "ja")).toMatchObject({
      times: "01:01:00 – 01:02:00 · 1 分 00 秒",
      why: "呼び出しがなく、保持時間が過ぎて解放",
    });
  });

  it("says no more than was seen", () => {
    const unseen = stay(1, 4, { was_seen_to_come: false, was_seen_to_go: false });
    expect(told(unseen).times).toBe("before 01:01:00 – last seen 01:04:00 · at least 3 min 00 s");
    expect(told(unseen).why).toBe("Nobody saw it go");
    expect(told(stay(3, 3, { was_seen_to_go: false })).times).toBe("01:03:00 – last seen 01:03:00");
    expect(told(stay(3, null), false)).toEqual({
      times: "01:03:00 – beyond this time · at least 7 min 00 s",
      facts: "",
      why: "In memory",
    });
  });

  it("says until when one stays that is there, unless that has been put off since", () => {
    const there = (expires_ns: number | null) => told(stay(5, null, { expires_ns }));
    expect(there(at(15))).toMatchObject({
      times: "01:05:00 – now · 5 min 00 s",
      why: "Stays until 01:15:00, longer if it is called",
    });
    expect(there(at(9)).why).toBe("In memory");
    expect(there(null).why).toBe("In memory");
    expect(there(9e18).why).toBe("Stays until it is let go");
  });
});
