// Child processes: started, listened to, ended by their own id, never left behind.
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { until, within } from "./wait.mjs";

const END_MS = 15_000;
/** Of each process this much of the end of its output is kept for messages. */
const KEPT_CHARS = 100_000;

const alive = new Set();
process.on("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});
// Without this a run that is broken off would leave its programs behind.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));

/** A port of loopback that nobody listens on. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** `false`, or why a test is skipped that needs exactly these ports. */
export async function taken(...ports) {
  for (const port of ports) {
    const free = await new Promise((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (!free) return `port ${port} is taken by another program`;
  }
  return false;
}

/** Whether a process with this id runs (a zombie does not). */
export async function runs(pid) {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    return !["Z", "X"].includes(stat.slice(stat.lastIndexOf(")") + 2)[0]);
  } catch {
    return false;
  }
}

export class Program {
  stdout = "";
  stderr = "";
  /** `{code, signal}` once it has ended. */
  ended = null;

  constructor(command, args, { cwd, env } = {}) {
    this.name = [command, ...args].join(" ");
    this.child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    this.pid = this.child.pid;
    alive.add(this.child);
    for (const stream of ["stdout", "stderr"]) {
      this.child[stream].setEncoding("utf8");
      this.child[stream].on("data", (text) => {
        this[stream] = (this[stream] + text).slice(-KEPT_CHARS);
      });
    }
    this.exit = new Promise((resolve) => {
      const end = (code, signal) => {
        alive.delete(this.child);
        this.ended ??= { code, signal };
        resolve(this.ended);
      };
      // «close» comes after all output was read.
      this.child.once("close", end);
      this.child.once("error", (error) => {
        this.stderr += error.message;
        end(null, null);
      });
    });
  }

  /** Waits for a state; fails at once, with its output, if the program ends before. */
  async until(what, check, patienceMs) {
    return until(
      `${what} (${this.name})`,
      async () => {
        if (this.ended) return true;
        return check();
      },
      patienceMs,
    ).then((found) => {
      if (!this.ended) return found;
      throw new Error(`${this.name} ended (${JSON.stringify(this.ended)}):\n${this.output()}`);
    });
  }

  output() {
    return this.stdout + this.stderr;
  }

  signal(name) {
    if (!this.ended) this.child.kill(name);
  }

  /** Asks it to end, and makes it if it does not. Returns whether asking was enough. */
  async end() {
    this.signal("SIGTERM");
    try {
      await within(`the end of ${this.name}`, this.exit, END_MS);
      return true;
    } catch {
      this.signal("SIGKILL");
      await this.exit;
      return false;
    }
  }
}

/** Runs a program to its end. */
export async function run(command, args, options = {}) {
  const program = new Program(command, args, options);
  try {
    await within(program.name, program.exit, options.patienceMs ?? 120_000);
  } catch (error) {
    program.signal("SIGKILL");
    await program.exit;
    throw new Error(`${error.message}\n${program.output()}`);
  }
  return { ...program.ended, stdout: program.stdout, stderr: program.stderr };
}
