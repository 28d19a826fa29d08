// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EMPTY_OVERVIEW } from "../traces/route";
import { aggregate, group, heatmap } from "./model/testing";
import { OverviewData } from "./overview.svelte";

let asked: URL[] = [];
/** What the server says; a test changes it. */
let answer: (url: URL) => Response;

const good = (url: URL, count = 3): Response =>
  Response.json(
    url.pathname.endsWith("heatmap") ? heatmap() : aggregate({ total: group([], { count }) }),
  );

beforeEach(() => {
  asked = [];
  answer = (url) => good(url);
  vi.stubGlobal("fetch", async (path: string, { signal }: RequestInit) => {
    const url = new URL(path, "http://127.0.0.1:3000");
    asked.push(url);
    await Promise.resolve();
    signal?.throwIfAborted();
    return answer(url);
  });
});
afterEach(() => vi.unstubAllGlobals());

const settled = (data: OverviewData) => vi.waitUntil(() => !data.busy);

describe("the overview's data", () => {
  it("is asked for with the same times and filter in every question", async () => {
    const data = new OverviewData();
    data.show({ ...EMPTY_OVERVIEW, q: "model:x", range: "7d" }, 50);
    await settled(data);
    expect(asked).toHaveLength(5);
    for (const name of ["from", "to", "q"]) {
      expect(new Set(asked.map((url) => url.searchParams.get(name))).size, name).toBe(1);
    }
    const [first] = asked;
    const length =
      Date.parse(first?.searchParams.get("to") ?? "") -
      Date.parse(first?.searchParams.get("from") ?? "");
    // From the hour in which it begins.
    expect(length).toBeGreaterThanOrEqual(7 * 86_400_000);
    expect(length).toBeLessThan(7 * 86_400_000 + 3_600_000);
    expect(asked.map((url) => url.searchParams.get("of")).sort()).toEqual([
      "calls",
      "calls",
      "calls",
      "calls",
      "roots",
    ]);
    expect(data.shown?.calls.total.figures.count).toBe(3);
  });

  it("stays where it can't be refreshed, and says why", async () => {
    const data = new OverviewData();
    data.show(EMPTY_OVERVIEW, 50);
    await settled(data);
    answer = () => Response.json({ error: "away", code: "store_unavailable" }, { status: 503 });
    await data.refresh();
    expect(data.failure?.code).toBe("store_unavailable");
    expect(data.shown?.calls.total.figures.count).toBe(3);
    answer = (url) => good(url, 4);
    await data.refresh();
    expect(data.failure).toBeNull();
    expect(data.shown?.calls.total.figures.count).toBe(4);
  });

  it("is of the last filter, however the answers come", async () => {
    const data = new OverviewData();
    data.show({ ...EMPTY_OVERVIEW, q: "old" }, 50);
    data.show({ ...EMPTY_OVERVIEW, q: "new" }, 50);
    await settled(data);
    await Promise.resolve();
    expect(data.shown?.route.q).toBe("new");
    expect(data.failure).toBeNull();
  });

  it("is not asked for a second time while the first answer is on its way", async () => {
    const data = new OverviewData();
    data.show(EMPTY_OVERVIEW, 50);
    await data.refresh();
    await settled(data);
    expect(asked).toHaveLength(5);
  });
});
