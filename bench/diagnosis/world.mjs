// A runtime, a network before it and an Andon before that, in each of which something can be made to go
// wrong; and calls whose diagnosis is read back.
import { execFile, spawn } from "node:child_process";
import { appendFile, copyFile, stat } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { environment, startAndon, temporaryFolder } from "../../tests/e2e/harness/andon.mjs";
import { ask } from "../../tests/e2e/harness/http.mjs";
import { BINARY, MODEL, MODEL_NAME } from "../../tests/e2e/harness/paths.mjs";
import { freePort, Program } from "../../tests/e2e/harness/process.mjs";
import { until } from "../../tests/e2e/harness/wait.mjs";
import { Group } from "./group.mjs";

const WORDS =
  "lantern river stone cloud paper garden winter market signal bridge candle forest".split(" ");
const SECONDS_NS = 1e9;

/** Numbers that are the same for the same seed (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    between: (least, most) => least + next() * (most - least),
    whole: (least, most) => Math.floor(least + next() * (most - least + 1)),
    words: (count) =>
      Array.from({ length: count }, () => WORDS[Math.floor(next() * WORDS.length)]).join(" "),
  };
}

/** Hands bytes on in both directions, each of them late by `delayMs`. */
class Relay {
  delayMs = 0;

  static async start(port) {
    const relay = new Relay();
    relay.server = net.createServer((client) => {
      const runtime = net.connect(port, "127.0.0.1");
      relay.#pass(client, runtime);
      relay.#pass(runtime, client);
    });
    await new Promise((resolve) => relay.server.listen(0, "127.0.0.1", resolve));
    relay.port = relay.server.address().port;
    return relay;
  }

  #pass(from, to) {
    // In the order in which it came, though the delay may change meanwhile.
    let last = Promise.resolve();
    const after = (then) => {
      const until = Date.now() + this.delayMs;
      last = last.then(() => sleep(Math.max(0, until - Date.now()))).then(then);
    };
    from.on("data", (bytes) => after(() => to.write(bytes)));
    from.on("end", () => after(() => to.end()));
    from.on("error", () => to.destroy());
    from.on("close", () => after(() => to.destroy()));
  }

  end() {
    this.server.close();
  }
}

export class World {
  hogs = [];

  /** `options`: flags of Andon. */
  static async start(options = {}) {
    const world = new World();
    world.folder = await temporaryFolder();
    world.other = path.join(world.folder, "other.gguf");
    await copyFile(MODEL, world.other);
    // Another file of the same words: the runtime knows equal ones by their digests.
    await appendFile(world.other, "\0".repeat(32));
    // Its own file, so that nobody else holds a page of it.
    world.model = path.join(world.folder, path.basename(MODEL));
    await copyFile(MODEL, world.model);
    world.modelBytes = (await stat(MODEL)).size;
    world.group = await Group.make();
    world.port = await freePort();
    await world.startRuntime();
    world.relay = await Relay.start(world.port);
    world.andon = await startAndon({
      options: {
        runtime: `http://127.0.0.1:${world.relay.port}`,
        model: null,
        privacy: "none",
        lang: "en",
        "otlp-http-listen": `127.0.0.1:${await freePort()}`,
        ...options,
      },
    });
    return world;
  }

  async startRuntime() {
    const args = ["runtime", `--listen=127.0.0.1:${this.port}`, `--model=${this.model}`];
    const all = [...args, `--model=${this.other}`];
    this.runtime = new Program(BINARY, all, { cwd: this.folder, env: environment() });
    await this.group?.add(this.runtime.pid);
    await this.runtime.until("the runtime answers", async () => {
      const list = await ask(`http://127.0.0.1:${this.port}/api/tags`);
      const names = list.json.models.map(({ name }) => name);
      this.otherName = names.find((name) => name !== MODEL_NAME);
      return names.length === 2;
    });
  }

  async killRuntime() {
    this.runtime.signal("SIGKILL");
    await this.runtime.exit;
  }

  /** Lets the model go, and what the kernel has of its file. */
  async forgetModel() {
    await this.call({ content: "1", keep_alive: "0" });
    await until("the model is gone", async () => {
      const running = await ask(`http://127.0.0.1:${this.port}/api/ps`);
      return running.json.models.length === 0;
    });
    // What dd's manual has for it.
    const nothing = [`of=${this.model}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"];
    await promisify(execFile)("dd", nothing);
  }

  async restartRuntime() {
    await this.killRuntime();
    await this.startRuntime();
    await until("Andon has found the runtime again", async () => {
      return (await ask(`${this.andon.captureUrl}/api/version`)).status === 200;
    });
  }

  /** Programs that do nothing but use CPU. */
  hog(count) {
    const hogs = Array.from({ length: count }, () => spawn("yes", { stdio: "ignore" }));
    return () => {
      for (const hog of hogs) hog.kill("SIGKILL");
    };
  }

  /** One captured call; what Andon says of it, with the runtime's own figures. */
  async call({ content, model = MODEL_NAME, tokens = 24, system, options = {}, headers, ...more }) {
    const messages = [{ role: "user", content }];
    if (system) messages.unshift({ role: "system", content: system });
    const body = { model, messages, stream: false, ...more };
    body.options = { num_predict: tokens, seed: 1, ...options };
    const answer = await ask(`${this.andon.captureUrl}/api/chat`, { json: body, headers });
    return this.explained(answer.headers["x-trace-id"], answer.json);
  }

  /**
   * A question as an app asks it that tells OpenTelemetry: it works for `beforeMs`, calls the model, works
   * for `afterMs`, and its clock is `skewMs` off ours.
   */
  async ofApp(random, { beforeMs = 0, afterMs = 0, skewMs = 0, ...call }) {
    const hex = (digits) =>
      Array.from({ length: digits }, () => random.whole(0, 15).toString(16)).join("");
    const [traceId, spanId] = [hex(32), hex(16)];
    const began = Date.now();
    await sleep(beforeMs);
    const headers = { traceparent: `00-${traceId}-${spanId}-01` };
    const said = await this.call({ ...call, headers });
    await sleep(afterMs);
    const time = (ms) => String(BigInt(Math.round(ms + skewMs)) * 1_000_000n);
    const span = {
      traceId,
      spanId,
      name: "POST /ask",
      kind: 2,
      startTimeUnixNano: time(began),
      endTimeUnixNano: time(Date.now()),
    };
    const attributes = ["service.name", "host.name"].map((key) => {
      return { key, value: { stringValue: "shop" } };
    });
    const json = { resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans: [span] }] }] };
    await ask(`${this.andon.otlpUrl}/v1/traces`, { json });
    return this.explained(traceId, said.figures);
  }

  async explained(id, figures) {
    const reply = await until(`trace ${id} is explained`, async () => {
      const found = await this.andon.get(`/api/v1/traces/${id}/why`);
      return found.status === 200 && found;
    });
    return { id, figures, seconds: reply.json.total_ns / SECONDS_NS, ...reply.json };
  }

  async end() {
    await this.andon.end();
    this.relay.end();
    await this.runtime.end();
    await this.group?.end();
  }
}
