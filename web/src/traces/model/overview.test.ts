import { expect, it } from "vitest";
import { readingSpeed, threads, writingSpeed } from "./overview";
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
