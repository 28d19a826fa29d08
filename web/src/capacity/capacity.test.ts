// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EMPTY_CAPACITY } from "../traces/route";
import { CapacityData, PeopleData, WhatIfData } from "./capacity.svelte";
import { Measuring } from "./measure.svelte";
import { capacity, MEASURED, model, people } from "./model/testing";

let asked: { url: URL; method: string }[] = [];
/** What the server says; a test changes it. */
let answer: (url: URL) => Response | Promise<Response>;

beforeEach(() => {
  asked = [];
  answer = () => Response.json(capacity([model("m")]));
  vi.stubGlobal("fetch", async (path: string, { method = "GET", signal }: RequestInit) => {
    const url = new URL(path, "http://127.0.0.1:3000");
    asked.push({ url, method });
    await Promise.resolve();
    signal?.throwIfAborted();
    const response = await answer(url);
    signal?.throwIfAborted();
    return response;
  });
});
afterEach(() => vi.unstubAllGlobals());

const { range, stretch } = EMPTY_CAPACITY;
const calls = { asked: { fromMs: 0, toMs: 86_400_000 }, runtime: "ollama" };
const settled = (data: { busy: boolean }) => vi.waitUntil(() => !data.busy);
const query = () => Object.fromEntries(asked.at(-1)?.url.searchParams ?? []);

describe("what is asked", () => {
  it("is of a week, and of a runtime only where one is chosen", async () => {
    const data = new CapacityData();
    data.show({ range, stretch, runtime: null });
    await settled(data);
    const { from = "", to = "", ...rest } = query();
    expect(rest).toEqual({});
    expect(Date.parse(to) - Date.parse(from)).toBeGreaterThanOrEqual(7 * 86_400_000);
    expect(data.shown?.asked.toMs).toBe(Date.parse(to));
    data.show({ range, stretch, runtime: "vllm" });
    await settled(data);
    expect(query()).toMatchObject({ runtime: "vllm" });
  });

  it("leaves to the server what nobody chose", async () => {
    const [crowd, whatIf] = [new PeopleData(), new WhatIfData()];
    const times = { from: "1970-01-01T00:00:00.000Z", to: "1970-01-02T00:00:00.000Z" };
    answer = () => Response.json(people([]));
    crowd.show({ ...calls, wait: null, pause: null, parallel: null });
    await settled(crowd);
    expect(query()).toEqual({ ...times, runtime: "ollama" });
    crowd.show({ ...calls, wait: 2.5, pause: 60, parallel: 4 });
    await settled(crowd);
    expect(query()).toMatchObject({ wait_s: "2.5", think_s: "60", parallel: "4" });
    whatIf.show({ ...calls, keep: "-1", slots: 2, model: "m", threads: null });
    await settled(whatIf);
    expect(query()).toEqual({
      ...times,
      runtime: "ollama",
      keep_alive: "-1",
      parallel: "2",
      model: "m",
    });
  });

  it("is answered for the last question, however the answers come", async () => {
    const data = new PeopleData();
    let letGo = (): void => undefined;
    answer = async (url) => {
      const wait = Number(url.searchParams.get("wait_s"));
      if (wait === 1) await new Promise<void>((done) => (letGo = done));
      return Response.json(people([], { most: wait }));
    };
    data.show({ ...calls, wait: 1, pause: null, parallel: null });
    await vi.waitUntil(() => asked.length === 1);
    data.show({ ...calls, wait: 2, pause: null, parallel: null });
    await settled(data);
    letGo();
    await new Promise((done) => setTimeout(done, 5));
    expect(data.shown?.people.most).toBe(2);
    expect(data.failure).toBeNull();
  });
});

describe("measuring", () => {
  it("is asked for once, and says when there is something new", async () => {
    answer = () => Response.json(MEASURED);
    const measuring = new Measuring();
    const done = vi.fn();
    const first = measuring.measure(done);
    expect(measuring.busy).toBe(true);
    await Promise.all([first, measuring.measure(done)]);
    expect(asked.map(({ url, method }) => [method, url.pathname])).toEqual([
      ["POST", "/api/v1/machine/measure"],
    ]);
    expect(done).toHaveBeenCalledOnce();
    expect(measuring).toMatchObject({ busy: false, failure: null });
  });

  it("says why it was refused, until it is tried again", async () => {
    answer = () => Response.json({ error: "a call runs now", code: "busy" }, { status: 409 });
    const measuring = new Measuring();
    const done = vi.fn();
    await measuring.measure(done);
    expect(measuring.failure).toMatchObject({ code: "busy", status: 409 });
    expect(done).not.toHaveBeenCalled();
    answer = () => Response.json(MEASURED);
    await measuring.measure(done);
    expect(measuring.failure).toBeNull();
    expect(done).toHaveBeenCalledOnce();
  });
});
