import { expect, it, vi } from "vitest";
import { throttled } from "./throttle";

it("calls at once, then at most once a second, and not after the end", () => {
  vi.useFakeTimers();
  let calls = 0;
  const ask = throttled(() => (calls += 1), 1000);
  for (let i = 0; i < 5; i += 1) ask();
  expect(calls).toBe(1);
  vi.advanceTimersByTime(1000);
  expect(calls).toBe(2);
  vi.advanceTimersByTime(5000);
  expect(calls).toBe(2);
  ask();
  ask();
  ask.cancel();
  vi.advanceTimersByTime(5000);
  expect(calls).toBe(3);
  vi.useRealTimers();
});
