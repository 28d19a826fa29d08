// A runtime, a network before it and an Andon before that, in each of which something can be made to go
// wrong; and calls whose diagnosis is read back.
import { execFile, spawn } from "node:child_process";
import { appendFile, copyFile, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { environment, startAndon, temporaryFolder } from "../../tests/e2e/harness/andon.mjs";
import { ask } from "../../tests/e2e/harness/http.mjs";
import { BINARY, MODEL, MODEL_NAME } from "../../tests/e2e/harness/paths.mjs";
import { freePort, Program } from "../../tests/e2e/harness/process.mjs";
import { until } from "../../tests/e2e/harness/wait.mjs";
import { Group } from "./group.mjs";
import { Relay, Slots } from "./relay.mjs";
import { whyNoSwap } from "./swap.mjs";

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

export class World {
  /** Calls by now. */
  asked = 0;
  modelName = MODEL_NAME;

  /** The port that the network before the runtime leads to. */
  get door() {
    return this.port;
  }

  /** `options`: flags of Andon; `setup`: what the world itself is made with. */
  static async start(options = {}, setup = {}) {
    const world = Object.assign(new this(), setup);
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
    world.noSwap = await whyNoSwap(world.folder);
    world.port = await freePort();
    await world.startRuntime();
    world.relay = await Relay.start(world.door);
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
    // A proxy of the app, before Andon.
    world.front = await Relay.start(Number(new URL(world.andon.captureUrl).port));
    return world;
  }

  async startRuntime() {
    this.runtime = await this.#runtimeAt(this.port);
    await this.group?.add(this.runtime.pid);
    await this.runtime.until("the runtime answers", async () => {
      const list = await ask(`http://127.0.0.1:${this.port}/api/tags`);
      const names = list.json.models.map(({ name }) => name);
      this.otherName = names.find((name) => name !== MODEL_NAME);
      return names.length === 2;
    });
  }

  #runtimeAt(port) {
    const args = ["runtime", `--listen=127.0.0.1:${port}`, `--model=${this.model}`];
    const all = [...args, `--model=${this.other}`];
    return new Program(BINARY, all, { cwd: this.folder, env: environment() });
  }

  /** For the time of `during`, the runtime's address answers two questions at a time. */
  async withTwoSlots(during) {
    const port = await freePort();
    const second = this.#runtimeAt(port);
    const url = `http://127.0.0.1:${port}/api/chat`;
    const messages = [{ role: "user", content: "1" }];
    let slots;
    try {
      // Loaded before, so that its load is no part of what is measured.
      await second.until("the second runtime answers", async () => {
        return (await ask(url, { json: { model: MODEL_NAME, messages } })).status === 200;
      });
      slots = await Slots.start(this.port, port);
      this.relay.leadTo(slots.port);
      return await during();
    } finally {
      this.relay.leadTo(this.port);
      slots?.end();
      await second.end();
    }
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
    await this.dropFile();
  }

  /** Lets the kernel forget what it has read of the model's file. */
  async dropFile() {
    // What dd's manual has for it.
    const nothing = [`of=${this.model}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"];
    await promisify(execFile)("dd", nothing);
  }

  /** The model is loaded, and what the kernel has of its file counts as the group's. */
  async holdModel(random) {
    await this.forgetModel();
    await this.call({ content: random.words(50), keep_alive: "5m" });
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

  /** A question as the runtime understands it: where it goes, and what. */
  request({ content, model = this.modelName, tokens = 24, system, options = {}, ...more }) {
    const messages = [{ role: "user", content }];
    if (system) messages.unshift({ role: "system", content: system });
    const body = { model, messages, stream: false, ...more };
    body.options = { num_predict: tokens, seed: 1, ...options };
    return { path: "/api/chat", body };
  }

  /** One captured call; what Andon says of it, with the runtime's own figures. */
  async call({ url = this.andon.captureUrl, headers, patienceMs, ...question }) {
    this.asked += 1;
    const number = this.asked;
    const { path: route, body } = this.request(question);
    const answer = await ask(url + route, { json: body, headers, patienceMs });
    return { ...(await this.explained(answer.headers["x-trace-id"], answer.json)), number };
  }

  /**
   * A question as an app asks it that tells OpenTelemetry: it works for `beforeMs`, calls the model, works
   * for `afterMs`, and its clock is `skewMs` off ours. With `url` it calls the model there, and tells how
   * long it waited for that.
   */
  async ofApp(random, { beforeMs = 0, afterMs = 0, skewMs = 0, ...call }) {
    const hex = (digits) =>
      Array.from({ length: digits }, () => random.whole(0, 15).toString(16)).join("");
    const [traceId, spanId, clientId] = [hex(32), hex(16), hex(16)];
    const time = (ms) => String(BigInt(Math.round(ms + skewMs)) * 1_000_000n);
    const span = (name, kind, began) => {
      const [startTimeUnixNano, endTimeUnixNano] = [time(began), time(Date.now())];
      return { traceId, spanId, name, kind, startTimeUnixNano, endTimeUnixNano };
    };
    const began = Date.now();
    await sleep(beforeMs);
    const asked = Date.now();
    const caller = call.url ? clientId : spanId;
    const headers = { traceparent: `00-${traceId}-${caller}-01` };
    const said = await this.call({ ...call, headers });
    const client = { ...span("POST", 3, asked), spanId: clientId, parentSpanId: spanId };
    await sleep(afterMs);
    const spans = [span("POST /ask", 2, began), ...(call.url ? [client] : [])];
    const attributes = ["service.name", "host.name"].map((key) => {
      return { key, value: { stringValue: "shop" } };
    });
    const json = { resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans }] }] };
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
    this.front.end();
    await this.runtime.end();
    await this.group?.end();
  }
}
