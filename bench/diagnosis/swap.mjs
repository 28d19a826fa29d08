// A swap file for the time of a scenario, made where this user may and no other swap is there: with one that
// others use as well, nobody could say whose pages come back from it.
import { execFile, execFileSync } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { rmSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const MIB = 1024 * 1024;
const active = new Set();

/** What a run that is broken off leaves behind would take the machine's disk until the next boot. */
function leave() {
  for (const file of active) {
    try {
      execFileSync("swapoff", [file], { stdio: "ignore" });
    } finally {
      rmSync(file, { force: true });
    }
  }
}
// Before the folder goes that the file is in: one in use cannot be deleted.
process.prependListener("exit", leave);

/** Ends with `end()`, for which all that is in it must have room in memory. */
export class Swap {
  static async start(folder, bytes) {
    const swap = new Swap();
    swap.file = path.join(folder, "swap");
    const count = Math.ceil(bytes / MIB);
    // Written out: a file with holes is refused.
    await run("dd", ["if=/dev/zero", `of=${swap.file}`, "bs=1M", `count=${count}`]);
    await run("chmod", ["600", swap.file]);
    await run("mkswap", [swap.file]);
    active.add(swap.file);
    try {
      await run("swapon", [swap.file]);
    } catch (error) {
      active.delete(swap.file);
      await rm(swap.file, { force: true });
      throw error;
    }
    return swap;
  }

  async end() {
    await run("swapoff", [this.file]);
    active.delete(this.file);
    await rm(this.file, { force: true });
  }
}

/** Why none can be made here; `null` where one can, which only trying tells. */
export async function whyNoSwap(folder) {
  const [, ...others] = (await readFile("/proc/swaps", "utf8").catch(() => "")).trim().split("\n");
  if (others.length) return "this machine has swap already";
  try {
    await (await Swap.start(folder, MIB)).end();
    return null;
  } catch (error) {
    return `no swap file can be made: ${error.message.trim().split("\n").at(-1)}`;
  }
}
