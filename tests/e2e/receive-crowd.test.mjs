// Clients of a receiver that do nothing, or next to nothing, and hold on to their connection: none of
// them keeps others out, and in time they are let go.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import { temporaryFolder } from "./harness/andon.mjs";
import { JSON_TYPE, newTraceId, span, traces } from "./harness/export.mjs";
import { askBytes } from "./harness/http.mjs";
import { startReceiver } from "./harness/otlp.mjs";

/** As many as a flood of exporters, where so many files may be open. */
const CROWD = 10_000;
const OTHER_FILES = 500;

let andon;
before(async () => {
  const folder = await temporaryFolder();
  await writeFile(path.join(folder, "andon.toml"), '[receive]\ntimeout = "5s"\n');
  andon = await startReceiver({ data: folder });
});
after(() => andon?.end());

/** A connection on which `said` is sent, and `closed`, when it ended. */
async function connect(said = "") {
  const { hostname, port } = new URL(andon.otlpUrl);
  const socket = net.connect({ host: hostname, port: Number(port) });
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.on("error", () => {});
  const closed = new Promise((resolve) => socket.once("close", resolve));
  if (said) socket.write(said);
  // What is not read is never ended.
  socket.resume();
  return { socket, closed };
}

async function openFiles() {
  const limits = await readFile("/proc/self/limits", "utf8");
  return Number(/^Max open files\s+(\d+)/m.exec(limits)[1]);
}

async function send() {
  const body = JSON.stringify(traces([span()]));
  const headers = { "content-type": JSON_TYPE };
  return askBytes(`${andon.otlpUrl}/v1/traces`, { method: "POST", headers, body });
}

test("ten thousand that say nothing keep nobody out", async (t) => {
  const count = Math.min(CROWD, (await openFiles()) - OTHER_FILES);
  t.diagnostic(`${count} connections`);
  const crowd = [];
  for (let at = 0; at < count; at += 100) {
    const some = Math.min(100, count - at);
    crowd.push(...(await Promise.all(Array.from({ length: some }, () => connect()))));
  }
  try {
    assert.equal((await send()).status, 200);
    // They are not there for ever.
    await Promise.all(crowd.map(({ closed }) => closed));
  } finally {
    for (const { socket } of crowd) socket.destroy();
  }
  assert.equal((await send()).status, 200);
});

for (const [name, beginning] of [
  ["the first letter of a request", "P"],
  ["half of HTTP/2's greeting", "PRI * HTTP/2"],
  ["headers without an end", "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n"],
]) {
  test(`${name}, and then a byte now and then: the connection is ended`, async () => {
    const { socket, closed } = await connect(beginning);
    const drip = setInterval(() => socket.write(beginning.startsWith("POST") ? "x" : ""), 250);
    try {
      await closed;
    } finally {
      clearInterval(drip);
      socket.destroy();
    }
  });
}

test("a body without an end: the client is told, and the connection is ended", async () => {
  const head = `POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${JSON_TYPE}\r\n`;
  const { socket, closed } = await connect(`${head}content-length: 1000\r\n\r\n`);
  let answer = "";
  socket.on("data", (bytes) => (answer += bytes));
  const drip = setInterval(() => socket.write(" "), 250);
  try {
    await closed;
  } finally {
    clearInterval(drip);
    socket.destroy();
  }
  assert.match(answer, /^HTTP\/1\.1 408 /);
});
