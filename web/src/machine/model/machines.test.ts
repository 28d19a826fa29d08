import { describe, expect, it } from "vitest";
import type { KnownHost } from "../../api/types";
import { choices } from "./machines";

const NOW = 1_700_000_000e9;
const host = (name: string | null, agoS: number, aheadS: number | null = null): KnownHost => ({
  name,
  address: null,
  last_seen_ns: NOW - agoS * 1e9,
  cpu_count: 4,
  memory_total_bytes: null,
  clock_ahead_ns: aheadS === null ? null : aheadS * 1e9,
});

describe("the machines to choose from", () => {
  it("are just one's own where no other sends samples", () => {
    expect(choices([host(null, 0)], null).map(({ name }) => name)).toEqual([null]);
    expect(choices([], null).map(({ name }) => name)).toEqual([null]);
  });

  it("have a way back from one that sends nothing", () => {
    const names = choices([host(null, 0)], "nobody").map(({ name }) => name);
    expect(names).toEqual([null, "nobody"]);
    expect(choices([], "nobody").map(({ name }) => name)).toEqual([null, "nobody"]);
  });

  it("say since when they are silent, by our own clock", () => {
    const all = choices(
      [host(null, 0), host("a", 30, 0), host("b", 90, 0), host("c", 50, -45)],
      "",
    );
    const silent = all.slice(0, 4).map(({ silentSinceNs }) => silentSinceNs);
    // The third one's clock is behind: its last look was five seconds ago.
    expect(silent).toEqual([null, null, NOW - 90e9, null]);
    const [, ahead] = choices([host(null, 0), host("d", 10, 120)], null);
    expect(ahead?.silentSinceNs).toBe(NOW - 130e9);
  });

  it("say how far a clock is off, where that can be seen", () => {
    const all = choices([host(null, 0), host("a", 0, 1.9), host("b", 0, -3)], null);
    expect(all.map(({ clockAheadNs }) => clockAheadNs)).toEqual([null, null, -3e9]);
  });
});
