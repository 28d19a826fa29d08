import { beforeEach, expect, it, vi } from "vitest";
import type { RumAction } from "../api/types";

const action = (traceId: string): RumAction => ({
  type: "action",
  name: "ask",
  trace_id: traceId,
  span_id: "s",
  start_ns: 1,
  duration_ns: 1,
  session_id: "s",
  view_id: "v",
  url: "u",
  status: "ok",
  attributes: {},
});

const sent = (): RumAction["trace_id"][][] =>
  vi
    .mocked(fetch)
    .mock.calls.map(([, init]) =>
      (JSON.parse(init?.body as string) as { events: RumAction[] }).events.map((e) => e.trace_id),
    );

let sendAction: (given: RumAction) => Promise<void>;

beforeEach(async () => {
  vi.resetModules();
  ({ sendAction } = await import("./rum"));
});

it("sends again with the next one what did not get through", async () => {
  const answers = [Promise.reject(new TypeError("gone")), new Response(null, { status: 503 })];
  vi.stubGlobal(
    "fetch",
    vi.fn(async () => answers.shift() ?? new Response(null, { status: 202 })),
  );
  for (const id of ["a", "b", "c", "d"]) await sendAction(action(id));
  expect(sent()).toEqual([["a"], ["a", "b"], ["a", "b", "c"], ["d"]]);
});

it("forgets what the server refuses, and the oldest of too many", async () => {
  vi.stubGlobal(
    "fetch",
    vi.fn(async () => new Response(null, { status: 400 })),
  );
  await sendAction(action("refused"));
  await sendAction(action("next"));
  expect(sent()).toEqual([["refused"], ["next"]]);
  vi.mocked(fetch).mockRejectedValue(new TypeError("gone"));
  for (let index = 0; index < 40; index++) await sendAction(action(`${index}`));
  expect(sent().at(-1)).toHaveLength(20);
  expect(sent().at(-1)?.at(-1)).toBe("39");
});
