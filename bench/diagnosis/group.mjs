// A control group of Linux around the runtime, in which it has little memory, little CPU or a slow disk.
// Either version of them; made where this user may, and without it what needs one is left out and said so.
import {
  access,
  constants,
  mkdir,
  readdir,
  readFile,
  rmdir,
  stat,
  writeFile,
} from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const ROOT = "/sys/fs/cgroup";
const NONE = 2n ** 63n - 4096n;
const PERIOD_US = 100_000;

async function canWrite(folder) {
  return access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
}

/** `major:minor` of the disk below a file, which may be a part of it. */
async function disk(file) {
  const { dev } = await stat(file, { bigint: true });
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  const of = `/sys/dev/block/${major}:${minor}`;
  const isPart = await access(`${of}/partition`).then(
    () => true,
    () => false,
  );
  return isPart ? (await readFile(`${of}/../dev`, "utf8")).trim() : `${major}:${minor}`;
}

const NAME = "andon-bench-";

/** Groups of runs that were broken off: nobody is left to make them go. */
async function clear(parent) {
  const names = (await readdir(parent)).filter((name) => name.startsWith(NAME));
  for (const name of names) {
    const runs = await access(`/proc/${name.slice(NAME.length)}`).then(
      () => true,
      () => false,
    );
    if (!runs) await rmdir(path.join(parent, name)).catch(() => {});
  }
}

export class Group {
  #folders;

  constructor(folders, isSecond) {
    this.#folders = folders;
    this.isSecond = isSecond;
  }

  /** `null` where none can be made. */
  static async make() {
    const name = `${NAME}${process.pid}`;
    const second = await readFile(`${ROOT}/cgroup.subtree_control`, "utf8").catch(() => null);
    if (second !== null) {
      const has = ["memory", "io", "cpu"].every((it) => second.split(/\s+/).includes(it));
      if (!has || !(await canWrite(ROOT))) return null;
      await clear(ROOT);
      const folder = path.join(ROOT, name);
      await mkdir(folder);
      return new Group({ memory: folder, io: folder, cpu: folder }, true);
    }
    const of = (controller) => path.join(ROOT, controller, name);
    const folders = { memory: of("memory"), io: of("blkio"), cpu: of("cpu") };
    for (const folder of Object.values(folders)) {
      if (!(await canWrite(path.dirname(folder)))) return null;
      await clear(path.dirname(folder));
      await mkdir(folder);
    }
    return new Group(folders, false);
  }

  /** Takes a process in. */
  async add(pid) {
    for (const folder of new Set(Object.values(this.#folders))) {
      await writeFile(path.join(folder, "cgroup.procs"), String(pid));
    }
  }

  /** Bytes that it has now. */
  async memory() {
    const file = this.isSecond ? "memory.current" : "memory.usage_in_bytes";
    return Number(await readFile(path.join(this.#folders.memory, file), "utf8"));
  }

  /** No more memory than `bytes`; `null`: as much as there is. */
  async limitMemory(bytes) {
    const file = this.isSecond ? "memory.max" : "memory.limit_in_bytes";
    const none = this.isSecond ? "max" : String(NONE);
    const text = bytes === null ? none : String(Math.round(bytes));
    // The first version says that it is busy when pages cannot be had back at once.
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await writeFile(path.join(this.#folders.memory, file), text);
      } catch (error) {
        if (error.code !== "EBUSY" || attempt === 50) throw error;
        await sleep(100);
      }
    }
  }

  /** No more than so many bytes a second are read of the disk below `file`; `null`: as it is. */
  async limitReads(file, bytesPerS) {
    const of = await disk(file);
    const most = bytesPerS === null ? null : Math.round(bytesPerS);
    const [name, text] = this.isSecond
      ? ["io.max", `${of} rbps=${most ?? "max"}`]
      : ["blkio.throttle.read_bps_device", `${of} ${most ?? 0}`];
    await writeFile(path.join(this.#folders.io, name), text);
  }

  /** No more CPU time than `cores` are worth; `null`: as much as there is. */
  async limitCpu(cores) {
    const folder = this.#folders.cpu;
    const quota = cores === null ? null : Math.round(cores * PERIOD_US);
    if (this.isSecond) {
      return writeFile(path.join(folder, "cpu.max"), `${quota ?? "max"} ${PERIOD_US}`);
    }
    await writeFile(path.join(folder, "cpu.cfs_period_us"), String(PERIOD_US));
    await writeFile(path.join(folder, "cpu.cfs_quota_us"), String(quota ?? -1));
  }

  /** Whether its memory rather goes to swap than what can be read from a file again. */
  async preferSwap(does) {
    // The second version has no such setting for a group.
    if (this.isSecond) return;
    await writeFile(path.join(this.#folders.memory, "memory.swappiness"), does ? "100" : "60");
  }

  /** When nothing is in it any more. */
  async end() {
    for (const folder of new Set(Object.values(this.#folders))) await rmdir(folder);
  }
}
