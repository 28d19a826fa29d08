// The commands beside `andon up`: each role alone, the demo, the doctor, the configuration.
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { describe, test } from "node:test";
import { environment, startAndon, temporaryFolder } from "./harness/andon.mjs";
import { ask } from "./harness/http.mjs";
import { SHORT } from "./harness/messages.mjs";
import { BINARY, MODEL, MODEL_NAME } from "./harness/paths.mjs";
import { freePort, Program, run } from "./harness/process.mjs";
import { until } from "./harness/wait.mjs";

const SECRET = "暗証番号は四二四二です。誰にも言わないでください。";

test("runtime, proxy and gateway alone, one behind the other", async () => {
  const cwd = await temporaryFolder();
  const [gatewayPort, proxyPort, runtimePort] = [
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const at = (port) => `127.0.0.1:${port}`;
  const commands = [
    ["runtime", `--listen=${at(runtimePort)}`, `--model=${MODEL}`],
    ["proxy", `--proxy-listen=${at(proxyPort)}`, `--runtime=${at(runtimePort)}`, "--timeout=120s"],
    ["gateway", `--listen=${at(gatewayPort)}`, `--proxy=${at(proxyPort)}`, "--timeout=120s"],
  ];
  const started = [];
  try {
    for (const [index, args] of commands.entries()) {
      // The notice of masked texts is in this language.
      const env = environment({ ANDON_LANG: "ja" });
      const program = new Program(BINARY, args, { cwd, env });
      started.push(program);
      const port = [runtimePort, proxyPort, gatewayPort][index];
      await program.until("it answers", async () => {
        return (await ask(`http://${at(port)}/healthz`)).status === 200;
      });
    }
    const answer = await until("the proxy has found the runtime", async () => {
      const asked = await ask(`http://${at(gatewayPort)}/chat`, { json: { message: SECRET } });
      return asked.status === 200 && asked;
    });
    assert.equal(answer.json.model, MODEL_NAME);

    // Alone, a role keeps nothing: its spans go to standard output, protected.
    const [, proxy, gateway] = started;
    const spans = (program) =>
      program.stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line))
        .filter(({ trace_id: id }) => id === answer.json.trace_id);
    await until("the spans are printed", () => spans(proxy).length === 2 && spans(gateway).length);
    assert.deepEqual(
      spans(proxy)
        .map(({ service }) => service)
        .sort(),
      ["proxy", "runtime"],
    );
    assert.equal(spans(gateway)[0].service, "gateway");
    for (const program of started) assert.ok(!program.output().includes("四二四二"));
    // Whoever follows what it works on does not keep the runtime from ending.
    const followed = await fetch(`http://${at(runtimePort)}/api/andon/progress`);
    for (const program of started.reverse()) {
      assert.equal(await program.end(), true, program.name);
      assert.equal(program.ended.code, 0, `${program.name} ${program.output()}`);
    }
    assert.equal(await followed.text(), "");
  } finally {
    for (const program of started) await program.end();
  }
});

test("the demo plays its story, and each part of it is in the traces", async () => {
  const andon = await startAndon();
  try {
    const args = ["demo", `--address=${andon.flags.listen}`, "--lang=en"];
    const { code, stderr } = await run(BINARY, args, {
      cwd: andon.folder,
      env: environment(),
      patienceMs: 180_000,
    });
    assert.equal(code, 0, stderr);
    assert.ok(stderr.includes(`http://${andon.flags.listen}/andon/`), stderr);
    const wanted = {
      "cold start": (trace) => trace.cause === "cold_start",
      "a long prompt": (trace) => trace.status === "ok" && trace.input_tokens > 900,
      "a wait in the queue": (trace) => trace.timings.queue_ns > 10e6,
      "a timeout": (trace) => trace.error_type === "timeout",
      "a wrong model": (trace) => trace.error_type === "model_missing",
      "an empty message": (trace) => trace.error_type === "no_message",
    };
    for (const [name, matches] of Object.entries(wanted)) {
      await until(`the traces have ${name}`, async () => (await andon.traces()).some(matches));
    }
  } finally {
    await andon.end();
  }
});

test("the demo without an Andon says what to do", async () => {
  const args = ["demo", `--address=127.0.0.1:${await freePort()}`];
  const { code, stderr } = await run(BINARY, args, { env: environment() });
  assert.equal(code, 1);
  assert.match(stderr, /andon up/);
});

describe("andon doctor", () => {
  const look = async (folder, ports, extra = []) =>
    run(
      BINARY,
      [
        "doctor",
        "--lang=en",
        `--data=${folder}/data`,
        `--listen=127.0.0.1:${ports.listen}`,
        `--proxy-listen=127.0.0.1:${ports.proxy}`,
        `--runtime-listen=127.0.0.1:${ports.runtime}`,
        ...extra,
      ],
      { cwd: folder, env: environment() },
    );
  const ports = async () => ({
    listen: await freePort(),
    proxy: await freePort(),
    runtime: await freePort(),
  });

  test("finds nothing wrong where nothing is", async () => {
    const folder = await temporaryFolder();
    await mkdir(path.join(folder, "data"));
    const found = await look(folder, await ports(), ["--runtime=builtin", `--model=${MODEL}`]);
    assert.equal(found.code, 0, found.stdout + found.stderr);
    assert.ok(found.stdout.split("\n").length >= 5, found.stdout);
    assert.ok(!found.stdout.includes("BAD"), found.stdout);
  });

  test("a receiver's port that another program has is a warning: all else starts", async () => {
    const folder = await temporaryFolder();
    const other = createServer();
    await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = other.address();
      const receivers = [`--otlp-grpc-listen=127.0.0.1:${port}`, "--dogstatsd-listen=127.0.0.1:0"];
      const builtin = ["--runtime=builtin", `--model=${MODEL}`];
      const found = await look(folder, await ports(), [...builtin, ...receivers]);
      assert.equal(found.code, 0, found.stdout);
      assert.match(found.stdout, new RegExp(`warn +otlp grpc +127.0.0.1:${port}: node \\(`));
      assert.match(found.stdout, /ok +dogstatsd +127\.0\.0\.1:0 is free/);
    } finally {
      other.close();
    }
  });

  test("names a taken port's holder and a runtime that is not there", async () => {
    const andon = await startAndon({ ready: false });
    try {
      const folder = await temporaryFolder();
      const taken = { ...(await ports()), proxy: andon.flags["proxy-listen"].split(":")[1] };
      const found = await look(folder, taken, [`--runtime=http://127.0.0.1:${await freePort()}`]);
      assert.equal(found.code, 1, found.stdout);
      assert.match(found.stdout, /BAD/);
      assert.ok(found.stdout.includes(String(andon.pid)), found.stdout);
    } finally {
      await andon.end();
    }
  });
});

describe("configuration", () => {
  test("flags go before the environment, that before the file, that before the defaults", async () => {
    const cwd = await temporaryFolder();
    await writeFile(path.join(cwd, "andon.toml"), 'timeout = "7s"\nmax_queue = 5\nlang = "ja"\n');
    const env = environment({ ANDON_MAX_QUEUE: "6", ANDON_TIMEOUT: "8s" });
    const shown = await run(BINARY, ["config", "show", "--timeout=9s"], { cwd, env });
    assert.equal(shown.code, 0, shown.stderr);
    const line = (name) => shown.stdout.split("\n").find((text) => text.startsWith(`${name} `));
    assert.match(line("timeout"), /9s/);
    assert.match(line("max_queue"), /\b6\b/);
    assert.match(line("keep_alive"), /5m.*default/);
  });

  test("an unknown key is an error that names the nearest known one", async () => {
    const cwd = await temporaryFolder();
    await writeFile(path.join(cwd, "andon.toml"), "max_que = 5\n");
    const { code, stderr } = await run(BINARY, ["up"], { cwd, env: environment() });
    assert.equal(code, 1);
    assert.match(stderr, /max_que\b.*max_queue/);
  });

  test("values that make no sense are refused with an example of a good one", async () => {
    const cwd = await temporaryFolder();
    for (const [flag, words] of [
      ["--timeout=soon", /ms, s, m or h/],
      ["--timeout=", /30s/],
      ["--listen=here", /127\.0\.0\.1:3000/],
      ["--runtime=nowhere", /http:\/\/127\.0\.0\.1:11434/],
      ["--lang=fr", /ja/],
    ]) {
      const { code, stderr } = await run(BINARY, ["up", flag], { cwd, env: environment() });
      assert.equal(code, 1, flag + stderr);
      assert.match(stderr, words);
    }
  });

  test("routes of the file replace the original's", async () => {
    const folder = await temporaryFolder();
    const route = '[[routes]]\npath = "/ask"\nmodel = "gemma3:270m"\nmax_tokens = 4\n';
    await writeFile(path.join(folder, "andon.toml"), route);
    const andon = await startAndon({ data: folder });
    try {
      const answer = await andon.post("/ask", { message: SHORT });
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.json.note ?? null, null);
      assert.ok(answer.json.eval_count <= 4);
      assert.equal((await andon.chat(SHORT)).status, 404);
    } finally {
      await andon.end();
    }
  });
});
