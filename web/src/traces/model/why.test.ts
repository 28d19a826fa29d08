import { describe, expect, it } from "vitest";
import type { Span } from "../../api/types";
import { id, SECOND, span, timings } from "./testing";
import { buildTree } from "./tree";
import { explain } from "./why";

const call = (more: Partial<Span>): Span =>
  span(2, 1, { llm_kind: "llm", service: "runtime", duration_ns: 29 * SECOND, ...more });
const root = (more: Partial<Span> = {}): Span =>
  span(1, null, { duration_ns: 30 * SECOND, kind: "server", ...more });

describe("why a trace took its time", () => {
  it("follows the diagnosis and tells the share of the phase it explains", () => {
    const why = explain(
      buildTree([
        root(),
        call({
          cause: "cold_start",
          timings: timings({ load_ns: 10 * SECOND, eval_ns: 18 * SECOND }),
        }),
      ]),
    );
    expect(why).toMatchObject({
      cause: "cold_start",
      failed: false,
      phase: "load",
      phaseNs: 10 * SECOND,
    });
    expect(why.shares.map((share) => share.part)).toEqual(["load", "generate", "other"]);
    expect(why.shares.reduce((sum, share) => sum + share.share, 0)).toBeCloseTo(1);
  });

  it("is no cold start where the server, which knows of loads, does not say so", () => {
    const why = explain(
      buildTree([
        root(),
        call({ cause: "none", timings: timings({ load_ns: 28 * SECOND, eval_ns: 1 }) }),
      ]),
    );
    expect(why).toMatchObject({ cause: "none", phase: "load" });
  });

  it("is guessed for spans nobody looked at", () => {
    const causes = [
      { load_ns: 28 * SECOND },
      { queue_ns: 28 * SECOND },
      { eval_ns: 28 * SECOND },
      {},
    ].map((known) => explain(buildTree([root(), call({ timings: timings(known) })])).cause);
    expect(causes).toEqual(["cold_start", "queue", "none", "none"]);
  });

  it("is a wait that the server does not look for yet, if it was long", () => {
    const causes = [
      { timings: timings({ queue_ns: 20 * SECOND }) },
      { timings: timings({ prompt_eval_ns: 20 * SECOND }), input_tokens: 900 },
      { timings: timings({ prompt_eval_ns: 20 * SECOND }), input_tokens: 900, cached_tokens: 890 },
      { timings: timings({ eval_ns: 20 * SECOND }) },
    ].map((known) => explain(buildTree([root(), call({ cause: "none", ...known })])).cause);
    expect(causes).toEqual(["queue", "long_prompt", "none", "none"]);
  });

  it("does not call a short load of a short call a cold start", () => {
    const quick = call({ duration_ns: 1e8, timings: timings({ load_ns: 8e7 }) });
    expect(explain(buildTree([span(1, null, { duration_ns: 1e8 }), quick])).cause).toBe("none");
  });

  it("does not say that a phase took most where the app did", () => {
    const known = { eval_ns: 3 * SECOND };
    expect(explain(buildTree([root(), call({ timings: timings(known) })])).cause).toBe("slow_app");
    const told = explain(buildTree([root(), call({ cause: "none", timings: timings(known) })]));
    expect(told).toMatchObject({ cause: "none", phase: null });
  });

  it("of a failure is its type, and the phase it was in", () => {
    const why = explain(
      buildTree([
        root({ status: "error", error_type: "proxy_failed" }),
        call({
          status: "error",
          error_type: "timeout",
          error_message: "too slow",
          timings: timings({ load_ns: SECOND, prompt_eval_ns: SECOND }),
        }),
      ]),
    );
    expect(why).toMatchObject({
      cause: "timeout",
      failed: true,
      phase: "prompt",
      errorMessage: "too slow",
    });
    expect(why.evidence?.span.span_id).toBe(id(2));
  });

  it("believes the span about its phase", () => {
    const failed = call({
      status: "error",
      error_type: "timeout",
      attributes: { "andon.error.phase": "generate" },
    });
    expect(explain(buildTree([root(), failed])).phase).toBe("generate");
  });

  it("of a refused request is unknown to the list of causes, but its type is told", () => {
    const why = explain(buildTree([root({ status: "error", error_type: "no_message" })]));
    expect(why).toMatchObject({ cause: "unknown", failed: true, errorType: "no_message" });
  });

  it("is no failure where an inner error was recovered from", () => {
    const why = explain(
      buildTree([root(), call({}), span(3, 1, { status: "error", error_type: "retry" })]),
    );
    expect(why.failed).toBe(false);
  });

  it("of nothing is nothing", () => {
    expect(explain(buildTree([]))).toMatchObject({
      cause: "none",
      shares: [],
      phase: null,
      evidence: null,
    });
  });
});
