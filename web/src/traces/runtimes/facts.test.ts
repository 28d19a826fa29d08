import { describe, expect, it } from "vitest";
import type { ModelInfo } from "../../api/types";
import { runtimes as t } from "../../i18n/en/runtimes";
import { context, expires, inOrder, onGpu, tracesHref, work } from "./facts";

const MODEL: ModelInfo = {
  name: "tiny:latest",
  size_bytes: 1000,
  parameter_size: null,
  quantization: "Q4_K_M",
  family: null,
  context_length: 32_768,
  digest: null,
  loaded: true,
  loaded_context_length: 4096,
  memory_bytes: 1000,
  gpu_bytes: 400,
  experts: null,
  expires_ns: 1_800_000_060_000 * 1e6,
  default: false,
};

const LOAD = {
  slots: 2,
  running: 1,
  waiting: null,
  cache_used: null,
  cache_hits: 0.25,
  queue_ms: null,
  prefill_ms: null,
  decode_ms: null,
};

describe("a runtime's facts", () => {
  it("are those that it told, and no others", () => {
    expect(work(LOAD, t, "en")).toEqual([
      { label: t.running, value: "1 of 2" },
      { label: t.cacheHits, value: "25 %" },
    ]);
    const silent = { ...LOAD, slots: null, running: null, cache_hits: null };
    expect(work(silent, t, "en")).toEqual([]);
    expect(work({ ...LOAD, slots: null, running: 0 }, t, "en")[0]?.value).toBe("0");
  });

  it("lead to its traces", () => {
    expect(new URL(tracesHref("gpu box"), "http://a").searchParams.get("q")).toBe(
      'service:"gpu box"',
    );
  });
});

describe("a model in memory", () => {
  it("says how much of its context is used", () => {
    expect(context(MODEL, t, "en")).toBe("4,096 of 32,768");
    expect(context({ ...MODEL, loaded_context_length: null }, t, "en")).toBe("32,768");
    expect(context({ ...MODEL, loaded_context_length: null, context_length: null }, t, "en")).toBe(
      "–",
    );
  });

  it("says the share on the GPU only where there is one", () => {
    expect(onGpu(MODEL)).toBe(0.4);
    expect(onGpu({ ...MODEL, gpu_bytes: 0 })).toBeNull();
    expect(onGpu({ ...MODEL, gpu_bytes: null })).toBeNull();
  });

  it("says when it leaves", () => {
    const now = 1_800_000_000_000;
    expect(expires(MODEL, now, t, "en")).toBe("1 min 00 s");
    expect(expires(MODEL, now + 90_000, t, "en")).toBe("0 ms");
    expect(expires({ ...MODEL, expires_ns: 9e18 }, now, t, "en")).toBe(t.never);
    expect(expires({ ...MODEL, loaded: false }, now, t, "en")).toBeNull();
  });

  it("stands before those that are not", () => {
    const cold = { ...MODEL, name: "a", loaded: false };
    expect(inOrder([cold, MODEL]).map(({ name }) => name)).toEqual(["tiny:latest", "a"]);
  });
});
