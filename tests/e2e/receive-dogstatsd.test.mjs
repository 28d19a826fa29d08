// DogStatsD by Datadog's own clients, over UDP and by the port of the agent: added up for ten seconds, and
// asked for in SQL.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { environment, startAndon } from "./harness/andon.mjs";
import { ask } from "./harness/http.mjs";
import { missing, OTEL_PYTHON, ROOT } from "./harness/paths.mjs";
import { freePort, run } from "./harness/process.mjs";
import { DD_TRACE_5, DD_TRACE_6, local } from "./harness/programs.mjs";
import { until } from "./harness/wait.mjs";

const CLIENT = path.join(ROOT, "tests/clients/dogstatsd_client.py");
const NODE_CLIENT = path.join(ROOT, "tests/clients/dogstatsd_client.cjs");
/** Longer than the ten seconds that lines are added up for. */
const INTERVAL_MS = 30_000;

describe("DogStatsD", { skip: missing(OTEL_PYTHON) }, () => {
  let andon;
  let port;
  let agent;

  before(async () => {
    [port, agent] = await Promise.all([freePort(), freePort()]);
    andon = await startAndon({
      options: {
        "dogstatsd-listen": `127.0.0.1:${port}`,
        "datadog-listen": `127.0.0.1:${agent}`,
        runtime: "http://127.0.0.1:1",
      },
      ready: false,
    });
  });
  after(() => andon?.end());

  const sql = async (text) => {
    const answer = await ask(`${andon.url}/api/v1/query`, { json: { sql: text } });
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
  };

  /** All curves of a service, once the ten seconds are over. */
  const added = (service, count) =>
    until(
      "the ten seconds are over",
      async () => {
        const rows = await sql(`SELECT * FROM metrics WHERE service = '${service}'`);
        return rows.length >= count && rows;
      },
      INTERVAL_MS,
    );

  // At once: each waits for the same ten seconds.
  describe("what is sent is there as it is meant", { concurrency: true }, () => {
    test("by Datadog's client", async () => {
      await run(OTEL_PYTHON, [CLIENT, String(port)]);
      const rows = await added("shop", 6);
      const of = (name) => rows.find((row) => row.name === name);
      assert.deepEqual([of("orders").kind, of("orders").value], ["sum", 6]);
      assert.equal(of("orders").tags.model, "granite3.2:2b");
      assert.deepEqual([of("orders").service, of("orders").env], ["shop", "test"]);
      assert.deepEqual([of("queue").kind, of("queue").value], ["gauge", 4]);
      assert.deepEqual([of("users").kind, of("users").value], ["set", 2]);
      for (const name of ["latency", "load"]) {
        const { kind, count, sum, min, max } = of(name);
        assert.deepEqual([kind, count, sum, min, max], ["histogram", 3, 60, 10, 30], name);
      }
      assert.equal(of("load").unit, "ms");
      assert.deepEqual([of("ollama.up").kind, of("ollama.up").value], ["service_check", 2]);
    });

    test("by dd-trace, over UDP and by the port of the agent", async (t) => {
      const clients = [DD_TRACE_6, DD_TRACE_5].filter(({ name, hindrance }) => {
        if (hindrance) t.diagnostic(`${name}: ${hindrance}`);
        return !hindrance;
      });
      const ways = {
        udp: { DD_AGENT_HOST: "127.0.0.1", DD_DOGSTATSD_PORT: String(port) },
        agent: { DD_TRACE_AGENT_URL: local(agent) },
      };
      const sent = clients.flatMap((client) =>
        Object.entries(ways).map(async ([way, there]) => {
          const service = `${client.name.replace(" ", "-")}-${way}`;
          const env = environment({ ...client.env, ...there, DD_SERVICE: service });
          const ended = await run(client.run, [NODE_CLIENT], { env });
          assert.equal(ended.code, 0, ended.stdout + ended.stderr);
          const rows = await added(service, 3);
          const of = (name) => rows.find((row) => row.name === name);
          assert.deepEqual([of("orders").kind, of("orders").value], ["sum", 6], service);
          assert.equal(of("orders").tags.model, "granite3.2:2b");
          assert.deepEqual([of("queue").kind, of("queue").value], ["gauge", 4], service);
          const { kind, count, sum, min, max } = of("latency");
          assert.deepEqual([kind, count, sum, min, max], ["histogram", 3, 60, 10, 30], service);
        }),
      );
      await Promise.all(sent);
    });
  });

  test("what people wrote is masked", async () => {
    const [{ tags }] = await sql("SELECT tags FROM metrics WHERE kind = 'event'");
    assert.equal(tags["event.title"], "デプロイ");
    assert.match(tags["event.text"], /^なぜ遅いのか、利用者\*/);
    const [check] = await sql("SELECT tags FROM metrics WHERE kind = 'service_check'");
    assert.match(check.tags["service_check.message"], /^no \| answe\*/);
  });

  test("garbage is counted and stops nothing", async () => {
    const dgram = await import("node:dgram");
    const socket = dgram.createSocket("udp4");
    const send = (bytes) =>
      new Promise((resolve, reject) =>
        socket.send(bytes, port, "127.0.0.1", (error) => (error ? reject(error) : resolve())),
      );
    for (const bytes of ["", "\0\xff", "no line", "a:1|c\nb:x|c", "_e{99,1}:a|b"]) {
      await send(Buffer.from(bytes, "latin1"));
    }
    socket.close();
    await until("it is counted", async () => {
      const { doors } = (await andon.get("/api/v1/intake")).json;
      const { rejected } = doors.find(({ protocol }) => protocol === "dogstatsd");
      return rejected.some(({ reason, count }) => reason === "unreadable" && count === 4);
    });
  });
});
