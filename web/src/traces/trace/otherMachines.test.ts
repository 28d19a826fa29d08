import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TRACE } from "../model/testing";
import { OtherMachines } from "./otherMachines.svelte";

let asked: (string | null)[] = [];
let isDown = false;

beforeEach(() => {
  asked = [];
  isDown = false;
  vi.stubGlobal("fetch", async (path: string) => {
    const host = new URL(path, "http://127.0.0.1:3000").searchParams.get("host");
    asked.push(host);
    await Promise.resolve();
    if (isDown) return Response.json({ error: "away", code: "store_unavailable" }, { status: 503 });
    return Response.json({ host: host === "gpu-box" ? host : null, samples: [] });
  });
});
afterEach(() => vi.unstubAllGlobals());

const machines = (): OtherMachines => new OtherMachines(TRACE, new AbortController().signal);

describe("the machines of a trace's spans", () => {
  it("are asked about once each, and Andon's own is told by nobody else", async () => {
    const others = machines();
    expect(others.around("gpu-box")).toEqual({ host: null, state: "loading" });
    await Promise.all(["gpu-box", "laptop", "gpu-box"].map((name) => others.want(name)));
    await others.want("laptop");
    expect(asked).toEqual(["gpu-box", "laptop"]);
    expect(others.around("gpu-box")).toMatchObject({ state: "ready", host: { host: "gpu-box" } });
    expect(others.around("laptop")).toBeNull();
  });

  it("are looked at again where they send samples, for some come after the spans", async () => {
    const others = machines();
    await Promise.all(["gpu-box", "laptop"].map((name) => others.want(name)));
    await others.refresh();
    expect(asked).toEqual(["gpu-box", "laptop", "gpu-box"]);
  });

  it("stay as they were where they can't be had again, and are asked for anew where never", async () => {
    const others = machines();
    await others.want("gpu-box");
    isDown = true;
    await others.refresh();
    expect(others.around("gpu-box")?.state).toBe("ready");
    await others.want("laptop");
    expect(others.around("laptop")?.state).toBe("failed");
    isDown = false;
    await others.want("laptop");
    expect(others.around("laptop")).toBeNull();
  });
});
