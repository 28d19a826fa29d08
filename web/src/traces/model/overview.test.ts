import { expect, it } from "vitest";
import { attempt, onGpu, readingSpeed, threads, turn, writingSpeed } from "./overview";
import { SECOND, span, timings } from "./testing";

const call = span(1, null, {
  input_tokens: 110,
  cached_tokens: 10,
  output_tokens: 40,
  timings: timings({ prompt_eval_ns: 2 * SECOND, eval_ns: 4 * SECOND }),
  attributes: { "andon.runtime.threads": 2 },
});

it("speeds leave out what was not read, and are unknown where a part is", () => {
  expect(writingSpeed(call)).toBe(10);
  expect(readingSpeed(call)).toBe(50);
  expect(writingSpeed(span(1, null, { output_tokens: 5 }))).toBeNull();
  expect(readingSpeed({ ...call, cached_tokens: 110 })).toBeNull();
});

it("threads are found under any prefix", () => {
  expect(threads(call)).toBe(2);
  expect(threads(span(1, null))).toBeNull();
});

it("a call's place in its question and among its attempts", () => {
  const first = span(1, null, { attributes: { "andon.turn.call": 1, "andon.turn.elapsed_ns": 9 } });
  expect(turn(first)).toBeNull();
  expect(attempt(first)).toBeNull();
  const later = span(1, null, {
    attributes: {
      "andon.turn.call": 3,
      "andon.turn.elapsed_ns": 5 * SECOND,
      "http.request.resend_count": 1,
      "andon.call.first_trace_id": "ab",
      "andon.call.elapsed_ns": 2 * SECOND,
      "andon.model.on_gpu": 0,
    },
  });
  expect(turn(later)).toEqual({ call: 3, elapsedNs: 5 * SECOND });
  expect(attempt(later)).toEqual({ attempt: 2, elapsedNs: 2 * SECOND, firstTraceId: "ab" });
  expect(onGpu(later)).toBeNull();
});
