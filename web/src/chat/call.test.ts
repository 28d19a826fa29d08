// @vitest-environment happy-dom
import { expect, it, vi } from "vitest";
import { ApiFailure } from "../api/client";
import type { ChatReply } from "../api/types";
import { Call } from "./call.svelte";
import { newAnswer } from "./conversation";

const make = () =>
  new Call(newAnswer("a", 0, false), { traceId: "a".repeat(32), spanId: "b".repeat(16) });

const reply: ChatReply = {
  reply: "Hello there",
  eval_count: 10,
  prompt_eval_count: 5,
  prompt_cached_count: 0,
  duration_ms: 600,
  request_id: "r",
  trace_id: "t",
  model: "gemma",
  model_requested: "tiny",
  finish_reason: "stop",
  cold_start: true,
  note: "n",
  timings: {
    queue_ms: 0,
    load_ms: 100,
    prompt_ms: 50,
    ttft_ms: 150,
    generate_ms: 500,
    andon_ms: 0.1,
    total_ms: 650,
  },
  span_id: "s",
};

it("draws many tokens of one frame as one change", () => {
  const frames: FrameRequestCallback[] = [];
  vi.stubGlobal("requestAnimationFrame", (run: FrameRequestCallback) => frames.push(run));
  const call = make();
  for (const text of ["a", "b", "c"]) call.take({ event: "token", data: { text } });
  expect(call.answer.text).toBe("");
  expect(frames).toHaveLength(1);
  frames[0]?.(0);
  expect(call.answer.text).toBe("abc");
  expect(call.pieces).toBe(3);
  vi.unstubAllGlobals();
});

it("ends with the server's whole text and figures", () => {
  const call = make();
  call.take({ event: "token", data: { text: "Hello th" } });
  call.take({ event: "done", data: reply });
  expect(call.answer).toMatchObject({
    state: "done",
    text: "Hello there",
    spanId: "s",
    coldStart: true,
    outputTokens: 10,
    tokensPerSecond: 20,
    note: "n",
  });
});

it("shows what the part behind said in words, whatever its shape", () => {
  const shown = (detail: unknown): string | null | undefined => {
    const call = make();
    const body = { error: "boom", code: "proxy_failed" as const, detail };
    call.failed(new ApiFailure("proxy_failed", "boom", 500, body));
    return call.answer.problem?.detail;
  };
  expect(shown(undefined)).toBeNull();
  expect(shown("connection refused")).toBe("connection refused");
  expect(shown({ error: "model not found", prompt: "long" })).toBe("model not found");
  expect(shown({ status: 3 })).toBe('{"status":3}');
});

it("keeps what was written when it fails or is stopped", () => {
  const failed = make();
  failed.take({ event: "token", data: { text: "partial" } });
  failed.failed(new ApiFailure("runtime_failed", "boom", 200));
  expect(failed.answer).toMatchObject({ state: "error", text: "partial" });
  expect(failed.answer.problem).toMatchObject({ code: "runtime_failed", message: "boom" });

  const stopped = make();
  stopped.take({ event: "token", data: { text: "half" } });
  stopped.stop();
  stopped.stopped();
  expect(stopped.answer).toMatchObject({ state: "stopped", text: "half", outputTokens: 1 });
  expect(stopped.signal.aborted).toBe(true);
});
