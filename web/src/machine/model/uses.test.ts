import { describe, expect, it } from "vitest";
import type { HostSample, Machine, ProcessUse } from "../../api/types";
import { hostSample, SECOND } from "../../traces/model/testing";
import { busyShare, oomKills } from "./facts";
import { extraColumns, seen, sortedUses } from "./uses";

const NOON_NS = Date.UTC(2026, 10, 25, 12) * 1e6;

const use = (pid: number, cpu: number, memory: number): ProcessUse => ({
  pid,
  started_ns: 0,
  name: "runtime",
  command: "runtime",
  role: null,
  cpu_cores: cpu,
  cpu_cores_peak: cpu,
  rss_bytes_peak: memory,
  gpu_memory_bytes_peak: null,
  major_faults_per_s_peak: null,
  threads_peak: 1,
  first_seen_ns: NOON_NS,
  last_seen_ns: NOON_NS + 90 * SECOND,
});

describe("the processes", () => {
  it("are sorted by what is asked for, and by the other where that is the same", () => {
    const all = [use(1, 0, 5), use(2, 1, 3), use(3, 0, 9), use(4, 2, 3)];
    const pids = (order: "cpu" | "memory"): number[] => sortedUses(all, order).map((it) => it.pid);
    expect(pids("cpu")).toEqual([4, 2, 3, 1]);
    expect(pids("memory")).toEqual([3, 1, 4, 2]);
  });

  it("have columns for what only some machines have, where one has it", () => {
    expect(extraColumns([use(1, 0, 0)])).toEqual({ gpu: false, faults: false });
    const some = { ...use(2, 0, 0), gpu_memory_bytes_peak: 5, major_faults_per_s_peak: 0.4 };
    expect(extraColumns([use(1, 0, 0), some])).toEqual({ gpu: true, faults: false });
    expect(extraColumns([{ ...some, major_faults_per_s_peak: 3 }]).faults).toBe(true);
  });

  it("name the day once, and only where it is another one", () => {
    // Far enough for any zone of the machine that tests.
    const later = NOON_NS / 1e6 + 3 * 86_400_000;
    expect(seen(use(1, 0, 0), later, "UTC")).toEqual(["11-25 12:00:00", "12:01:30"]);
    const long = { ...use(1, 0, 0), last_seen_ns: NOON_NS + 86_400 * SECOND };
    expect(seen(long, later, "UTC")).toEqual(["11-25 12:00:00", "11-26 12:00:00"]);
    expect(seen(use(1, 0, 0), NOON_NS / 1e6)[0]).toMatch(/^\d\d:\d\d:\d\d$/);
  });
});

describe("the facts", () => {
  const machine = (mean: HostSample[]): Machine => ({
    from_ns: 0,
    to_ns: 10 * SECOND,
    step_ns: SECOND,
    mean,
    peak: mean,
    processes: [],
    devices: [],
    is_partial: false,
  });

  it("count who was ended for want of memory, and say when it was last", () => {
    const kills = [null, 2, 0, 1, 0].map((oom_kills, at) => hostSample(at, { oom_kills }));
    expect(oomKills(machine(kills))).toEqual({ count: 3, lastNs: 3 * SECOND });
    expect(oomKills(machine([hostSample(0)]))).toBeNull();
    expect(oomKills(machine([]))).toBeNull();
  });

  it("know no more than all of the CPU, and nothing of no cores", () => {
    expect(busyShare(hostSample(0, { cpu_busy_cores: 2.1 }))).toBe(1);
    expect(busyShare(hostSample(0, { cpu_busy_cores: 0.5 }))).toBe(0.25);
    expect(busyShare(hostSample(0, { cpu_count: 0 }))).toBeNull();
  });
});
