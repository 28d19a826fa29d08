import { describe, expect, it } from "vitest";
import type { Phase, PhaseReport } from "../api/types";
import { type PhaseStarts, noteStart, waitingView } from "./waiting";

const report = (phase: Phase, change: Partial<PhaseReport> = {}): PhaseReport => ({
  phase,
  phase_since_ms: 0,
  elapsed_ms: 0,
  queue_position: null,
  load_progress: null,
  prompt_done: null,
  prompt_total: null,
  prompt_cached: null,
  tokens: 0,
  tokens_per_s: null,
  eta_ms: null,
  eta_exact: false,
  ...change,
});

const startsOf = (...reports: PhaseReport[]): PhaseStarts => reports.reduce(noteStart, {});

describe("the waiting line", () => {
  it("runs its clock before the server has said anything", () => {
    const view = waitingView(null, {}, 1000, 1450);
    expect(view).toMatchObject({ phase: null, phaseMs: 450, totalMs: 450 });
    expect(view.steps.every((step) => step.state === "todo")).toBe(true);
  });

  it("runs on between reports and follows the server's time at the next", () => {
    const now = report("load", { phase_since_ms: 300, elapsed_ms: 900 });
    const view = waitingView({ report: now, heardAtMs: 5000 }, startsOf(now), 4000, 5200);
    expect(view.phaseMs).toBe(500);
    expect(view.totalMs).toBe(1200);
    const later = report("load", { phase_since_ms: 1400, elapsed_ms: 2000 });
    const synced = waitingView({ report: later, heardAtMs: 5210 }, {}, 4000, 5210);
    expect(synced.phaseMs).toBe(1400);
  });

  it("tells how long each earlier phase took, and which did not happen", () => {
    const queue = report("queue", { elapsed_ms: 0 });
    const prompt = report("prompt", { phase_since_ms: 100, elapsed_ms: 700 });
    const again = report("prompt", { phase_since_ms: 620, elapsed_ms: 1200 });
    const view = waitingView({ report: again, heardAtMs: 0 }, startsOf(queue, prompt, again), 0, 0);
    expect(view.steps).toEqual([
      { phase: "queue", state: "done", ms: 600 },
      { phase: "load", state: "skipped", ms: null },
      { phase: "prompt", state: "now", ms: 620 },
      { phase: "generate", state: "todo", ms: null },
    ]);
  });

  it("shows progress only where it is known", () => {
    const at = (given: PhaseReport) =>
      waitingView({ report: given, heardAtMs: 0 }, {}, 0, 0).progress;
    expect(at(report("queue"))).toBeNull();
    expect(at(report("load"))).toBeNull();
    expect(at(report("load", { load_progress: 1.2 }))).toBe(1);
    expect(at(report("prompt", { prompt_done: 41, prompt_total: 100 }))).toBe(0.41);
    expect(at(report("prompt", { prompt_done: 0, prompt_total: 0 }))).toBeNull();
  });

  it("counts the time left down, not below zero", () => {
    const now = report("prompt", { eta_ms: 300, eta_exact: true });
    const left = (nowMs: number) => waitingView({ report: now, heardAtMs: 0 }, {}, 0, nowMs).etaMs;
    expect(left(100)).toBe(200);
    expect(left(900)).toBe(0);
  });
});
