// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { aggregate } from "../overview/model/testing";
import { EMPTY_MACHINE } from "../traces/route";
import { hostSample } from "../traces/model/testing";
import { MachineData, refreshEveryMs } from "./machine.svelte";

let asked: URL[] = [];
/** What the server says; a test changes it. */
let answer: (url: URL) => Response;

const good = (url: URL, used = 3): Response => {
  if (url.pathname.endsWith("aggregate")) return Response.json(aggregate());
  if (url.pathname.endsWith("stays")) return Response.json({ stays: [], is_partial: false });
  if (url.pathname.endsWith("hosts")) return Response.json({ hosts: [] });
  const mean = [hostSample(1, { memory_used_bytes: used })];
  return Response.json({ mean, peak: mean, processes: [], devices: [], step_ns: 1e9 });
};

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
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const settled = (data: MachineData) => vi.waitUntil(() => !data.busy);
const used = (data: MachineData) => data.shown?.latest?.memory_used_bytes;
const stretch = (lengthMs: number, toMs: number) => ({
  ...EMPTY_MACHINE,
  stretch: { fromMs: toMs - lengthMs, toMs },
});

describe("the machine's data", () => {
  it("is asked for with one end of the time in every question", async () => {
    const data = new MachineData();
    data.show({ ...EMPTY_MACHINE, range: "1h" }, 50);
    await settled(data);
    expect(asked.map((url) => url.pathname).sort()).toEqual([
      "/api/v1/aggregate",
      "/api/v1/hosts",
      "/api/v1/machine",
      "/api/v1/machine",
      "/api/v1/models/stays",
    ]);
    const timed = asked.filter((url) => !url.pathname.endsWith("hosts"));
    expect(new Set(timed.map((url) => url.searchParams.get("to"))).size).toBe(1);
    const lengths = timed.map(({ searchParams: times }) => {
      return Date.parse(times.get("to") ?? "") - Date.parse(times.get("from") ?? "");
    });
    expect(lengths.sort((a, b) => a - b)).toEqual([5_000, 3_600_000, 3_600_000, 3_600_000]);
  });

  it("is of the machine that is named", async () => {
    const data = new MachineData();
    data.show({ ...EMPTY_MACHINE, host: "gpu-box" }, 50);
    await settled(data);
    const machines = asked.filter((url) => url.pathname.endsWith("machine"));
    expect(machines.map((url) => url.searchParams.get("host"))).toEqual(["gpu-box", "gpu-box"]);
    // Whose runtimes nobody asks.
    expect(asked.some((url) => url.pathname.endsWith("stays"))).toBe(false);
    expect(data.shown?.stays).toBeNull();
  });

  it("has the last step where the end of the time was not looked at", async () => {
    answer = (url) =>
      url.searchParams.get("top") === "1" ? Response.json({ mean: [] }) : good(url, 8);
    const data = new MachineData();
    data.show(EMPTY_MACHINE, 50);
    await settled(data);
    expect(used(data)).toBe(8);
  });

  it("stays where it can't be refreshed, and says why", async () => {
    const data = new MachineData();
    data.show(EMPTY_MACHINE, 50);
    await settled(data);
    answer = () => Response.json({ error: "away", code: "store_unavailable" }, { status: 503 });
    await data.refresh();
    expect(data.failure?.code).toBe("store_unavailable");
    expect(used(data)).toBe(3);
    answer = (url) => good(url, 4);
    await data.refresh();
    expect(data.failure).toBeNull();
    expect(used(data)).toBe(4);
  });

  it("is of the last time, however the answers come, and not asked for twice", async () => {
    const data = new MachineData();
    data.show({ ...EMPTY_MACHINE, range: "7d" }, 50);
    data.show({ ...EMPTY_MACHINE, range: "1h" }, 50);
    await data.refresh();
    await settled(data);
    expect(data.shown?.route.range).toBe("1h");
    expect(asked).toHaveLength(10);
  });

  it("is looked at again while the page is seen, until that ends", async () => {
    vi.useFakeTimers();
    const data = new MachineData();
    data.show(EMPTY_MACHINE, 50);
    await vi.advanceTimersByTimeAsync(0);
    const end = data.follow(EMPTY_MACHINE);
    await vi.advanceTimersByTimeAsync(4_100);
    expect(asked).toHaveLength(3 * 5);
    vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(asked).toHaveLength(3 * 5);
    vi.restoreAllMocks();
    document.dispatchEvent(new Event("visibilitychange"));
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toHaveLength(4 * 5);
    end();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked).toHaveLength(4 * 5);
  });
});

describe("how often it is asked for", () => {
  it("follows the length, and a time that is over is left alone", () => {
    const now = 1e12;
    expect(refreshEveryMs(EMPTY_MACHINE, now)).toBe(2_000);
    expect(refreshEveryMs({ ...EMPTY_MACHINE, range: "1h" }, now)).toBe(10_000);
    expect(refreshEveryMs({ ...EMPTY_MACHINE, range: "24h" }, now)).toBe(30_000);
    expect(refreshEveryMs(stretch(60_000, now - 1), now)).toBeNull();
    expect(refreshEveryMs(stretch(60_000, now + 1), now)).toBe(2_000);
  });
});
