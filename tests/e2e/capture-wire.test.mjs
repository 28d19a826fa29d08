// The capture's own HTTP/1.1, byte by byte: what real clients and servers rarely send, what they
// must never be able to send, and connections that end when nobody expects it.
import assert from "node:assert/strict";
import net from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startAndon } from "./harness/andon.mjs";
import { until, within } from "./harness/wait.mjs";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HOST = "Host: localhost\r\n";

/** A runtime that speaks in bytes: `answer(socket, request)` whenever a request has grown. */
class Runtime {
  answer = null;
  /** The requests of the test so far, as they came, one text a connection. */
  came = [];
  open = new Set();

  static async start() {
    const runtime = new Runtime();
    runtime.server = net.createServer((socket) => runtime.#take(socket));
    await new Promise((resolve) => runtime.server.listen(0, "127.0.0.1", resolve));
    runtime.url = `http://127.0.0.1:${runtime.server.address().port}`;
    return runtime;
  }

  #take(socket) {
    let text = "";
    let slot = null;
    socket.on("error", () => {});
    socket.once("close", () => this.open.delete(socket));
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      // Andon's own looks at the runtime have nothing to do with the test.
      if (/^GET \/(api|v1|health|props)/.test(text)) {
        if (text.endsWith("\r\n\r\n")) socket.end("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
        return;
      }
      this.open.add(socket);
      slot ??= this.came.push("") - 1;
      this.came[slot] = text;
      this.answer(socket, text, () => (text = ""));
    });
  }

  /** Answers each whole request with what `text` makes of it. */
  echo(text = (request) => bodyOf(request)) {
    this.answer = (socket, request, next) => {
      if (!isWhole(request)) return;
      next();
      const body = text(request);
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    };
  }

  end() {
    for (const socket of this.open) socket.destroy();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

function bodyOf(request) {
  return request.slice(request.indexOf("\r\n\r\n") + 4);
}

function isWhole(request) {
  if (!request.includes("\r\n\r\n")) return false;
  const length = /content-length: (\d+)/i.exec(request);
  if (length) return bodyOf(request).length >= Number(length[1]);
  return !/transfer-encoding/i.test(request) || /\r\n0\r\n(.*\r\n)*\r\n$/.test(request);
}

/** A client that speaks in bytes. */
class Client {
  text = "";
  /** `end`, or the error that ended it. */
  ended = null;

  constructor(base = andon) {
    this.socket = net.connect(Number(new URL(base.captureUrl).port), "127.0.0.1");
    this.socket.setNoDelay(true);
    this.socket.on("data", (chunk) => (this.text += chunk.toString("latin1")));
    this.socket.once("end", () => (this.ended ??= "end"));
    this.socket.once("error", (error) => (this.ended = error.code));
    this.end = new Promise((resolve) => this.socket.once("close", () => resolve(this.ended)));
    clients.push(this);
  }

  /** Sends, and waits until what came matches. */
  async ask(bytes, pattern) {
    this.text = "";
    this.socket.write(bytes, "latin1");
    await until(`an answer like ${pattern}`, () => {
      if (pattern.test(this.text)) return true;
      throw new Error(JSON.stringify(this.text));
    });
    return this.text;
  }

  /** Sends, and gives all that came until the connection ended. */
  async askAll(bytes) {
    this.socket.write(bytes, "latin1");
    await within("the connection's end", this.end);
    return this.text;
  }
}

let runtime;
let andon;
let clients = [];
before(async () => {
  runtime = await Runtime.start();
  andon = await startAndon({ options: { runtime: runtime.url }, ready: false });
});
beforeEach(async () => {
  for (const client of clients) client.socket.destroy();
  clients = [];
  // No test finds a connection that an earlier one left behind.
  for (const socket of runtime.open) socket.destroy();
  await until("nothing is open", () => runtime.open.size === 0);
  runtime.answer = () => assert.fail("nothing was to come");
  runtime.came = [];
});
after(async () => {
  for (const client of clients) client.socket.destroy();
  await andon?.end();
  await runtime?.end();
});

describe("requests", () => {
  test("pipelined ones with bodies are answered in order", async () => {
    runtime.echo((request) => `<${request.split(" ")[1]} ${bodyOf(request).length}>`);
    const all =
      `POST /a HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello` +
      `POST /b HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n` +
      `\r\nGET /c HTTP/1.1\r\n${HOST}\r\n` +
      `POST /d HTTP/1.1\r\n${HOST}Content-Length: 100000\r\n\r\n${"x".repeat(100_000)}` +
      `GET /e HTTP/1.1\r\n${HOST}\r\n`;
    await new Client().ask(all, /<\/a 5>[^]*<\/b 13>[^]*<\/c 0>[^]*<\/d 100000>[^]*<\/e 0>$/);
  });

  test("one byte at a time arrives as it was", async () => {
    runtime.echo();
    const client = new Client();
    const request = `POST /slow HTTP/1.1\r\n${HOST}X-Odd:  a  b \r\nContent-Length: 4\r\n\r\nbody`;
    for (const byte of request) {
      client.socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.ask("", /\r\n\r\nbody$/);
    const { host } = new URL(runtime.url);
    assert.equal(
      runtime.came[0],
      `POST /slow HTTP/1.1\r\nHost: ${host}\r\nX-Odd: a  b\r\nContent-Length: 4\r\n\r\nbody`,
    );
  });

  test("a head that is larger than a buffer, and one that pauses", async () => {
    runtime.echo((request) => String(/X-Long: (\S*)/.exec(request)[1].length));
    const client = new Client();
    const head = `GET /long HTTP/1.1\r\n${HOST}X-Long: ${"y".repeat(50_000)}\r\n\r\n`;
    await client.ask(head, /\r\n\r\n50000$/);
    client.socket.write(head.slice(0, 40_000));
    await pause(300);
    await client.ask(head.slice(40_000), /\r\n\r\n50000$/);
  });

  test("chunks, extensions and trailers go on as they came, both ways", async () => {
    const body = '4;name="a b"\r\nWiki\r\n00A\r\n0123456789\r\n0\r\nX-Sum: 1\r\nExpires: 0\r\n\r\n';
    runtime.answer = (socket, request, next) => {
      if (!isWhole(request)) return;
      next();
      socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${bodyOf(request)}`);
    };
    const client = new Client();
    for (let time = 0; time < 2; time += 1) {
      const head = `POST /c HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n`;
      const answer = await client.ask(head + body, /Expires: 0\r\n\r\n$/);
      assert.match(answer, /^HTTP\/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-trace-id: /);
      assert.equal(bodyOf(answer), body);
    }
    assert.equal(bodyOf(runtime.came[0]), body);
    assert.match(runtime.came[0], /\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n/);
  });

  test("HTTP/1.0: closed unless asked to stay, and chunks are taken apart", async () => {
    runtime.echo(() => "ok");
    const closed = await new Client().askAll("GET /old HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert.match(closed, /\r\nConnection: close\r\n\r\nok$/);
    assert.match(runtime.came[0], /^GET \/old HTTP\/1.1\r\n/);
    const keeps = `GET /old HTTP/1.0\r\n${HOST}Connection: keep-alive\r\n\r\n`;
    const client = new Client();
    for (let time = 0; time < 2; time += 1) {
      assert.match(await client.ask(keeps, /ok$/), /\r\nConnection: keep-alive\r\n/);
    }
    runtime.answer = (socket) =>
      socket.write(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
      );
    const apart = await client.askAll(keeps);
    assert.match(apart, /\r\n\r\nabc$/);
    assert.ok(!/transfer-encoding/i.test(apart));
  });

  test("an address as the target becomes a path", async () => {
    runtime.echo((request) => request.split("\r\n")[0]);
    const text = `GET http://localhost:1/path?q=1 HTTP/1.1\r\n${HOST}\r\n`;
    await new Client().ask(text, /\r\n\r\nGET \/path\?q=1 HTTP\/1.1$/);
  });

  test("a body is asked for only once the runtime is reached", async () => {
    runtime.echo();
    const head = `POST /e HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`;
    const client = new Client();
    await client.ask(head, /^HTTP\/1.1 100 Continue\r\n\r\n$/);
    await client.ask("ok", /^HTTP\/1.1 200 OK[^]*ok$/);
    assert.ok(!/expect/i.test(runtime.came[0]));
    const nowhere = await startAndon({ options: { runtime: "http://127.0.0.1:1" }, ready: false });
    try {
      const answer = await new Client(nowhere).askAll(head);
      assert.match(answer, /^HTTP\/1.1 502 [^]*cannot be reached/);
    } finally {
      await nowhere.end();
    }
  });
});

describe("what could be read in two ways is refused, and the runtime sees nothing of it", () => {
  const get = `GET /hidden HTTP/1.1\r\n${HOST}\r\n`;
  const chunked = "Transfer-Encoding: chunked\r\n";
  const heads = {
    "a length and chunks": `Content-Length: 4\r\n${chunked}`,
    "chunks and a length": `${chunked}Content-Length: 4\r\n`,
    "two lengths": "Content-Length: 4\r\nContent-Length: 5\r\n",
    "a list of lengths": "Content-Length: 4, 4\r\n",
    "a length with a sign": "Content-Length: +4\r\n",
    "a length beyond 64 bits": "Content-Length: 99999999999999999999\r\n",
    "another coding": "Transfer-Encoding: gzip\r\n",
    "a coding twice": `${chunked}${chunked}`,
    "a coding in a list": "Transfer-Encoding: identity, chunked\r\n",
    "a coding behind a control character": "Transfer-Encoding: \x0bchunked\r\n",
    "a space before the colon": "Content-Length : 4\r\n",
    "a folded line": "X: a\r\n Content-Length: 4\r\n",
    "a bare carriage return": "X: a\rContent-Length: 4\r\n",
    "a NUL": "X: a\0\r\n",
    "a line without a colon": "Content-Length 4\r\n",
    "a second host": "Host: 127.0.0.1\r\n",
  };
  for (const [name, headers] of Object.entries(heads)) {
    test(name, async () => {
      const request = `POST /v1/x HTTP/1.1\r\n${HOST}${headers}\r\n0\r\n\r\n${get}`;
      const answer = await new Client().askAll(request);
      assert.match(answer, /^HTTP\/1.1 400 [^]*\r\nx-andon-error: bad_field\r\n/);
      // One answer, in the form of the API that was called.
      assert.equal(answer.match(/HTTP\/1.1 \d/g).length, 1);
      assert.equal(JSON.parse(bodyOf(answer)).error.code, "bad_field");
      assert.deepEqual(runtime.came, []);
    });
  }

  const lines = {
    "a target that is no path": `GET x HTTP/1.1\r\n${HOST}\r\n`,
    "a tunnel": `CONNECT localhost:80 HTTP/1.1\r\n${HOST}\r\n`,
    "an asterisk": `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`,
    "another protocol": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no HTTP at all": "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    "chunks in HTTP/1.0": `POST / HTTP/1.0\r\n${HOST}${chunked}\r\n0\r\n\r\n`,
  };
  for (const [name, request] of Object.entries(lines)) {
    test(name, async () => {
      assert.match(await new Client().askAll(request), /^HTTP\/1.1 400 /);
      assert.deepEqual(runtime.came, []);
    });
  }

  test("chunks that cannot be told apart end both connections", async () => {
    const sockets = [];
    runtime.answer = (socket) => sockets.push(socket);
    for (const body of ["x\r\n", "1\r\nab\r\n", "1\n", "0\r\nA: b\nGET / HTTP/1.1\r\n\r\n"]) {
      const head = `POST /x HTTP/1.1\r\n${HOST}${chunked}\r\n`;
      const client = new Client();
      const answer = await client.askAll(`${head}2\r\nok\r\n${body}${get}`);
      assert.match(answer, /^HTTP\/1.1 400 /);
      const late = new Client();
      late.socket.write(`${head}2\r\nok\r\n`);
      await until("the runtime has the beginning", () => runtime.came.length > 0);
      assert.match(await late.askAll(body), /^HTTP\/1.1 400 /);
    }
    await until("the runtime is left", () => runtime.open.size === 0);
    assert.ok(!runtime.came.join().includes("hidden"));
  });

  test("a head that is too large", async () => {
    const long = `GET / HTTP/1.1\r\n${HOST}X: ${"a".repeat(70_000)}\r\n\r\n`;
    assert.match(await new Client().askAll(long), /^HTTP\/1.1 431 /);
    const many = `GET / HTTP/1.1\r\n${HOST}${"A: b\r\n".repeat(10_000)}\r\n`;
    assert.match(await new Client().askAll(many), /^HTTP\/1.1 431 /);
    assert.match(await new Client().askAll(`GET /${"a".repeat(70_000)}`), /^HTTP\/1.1 431 /);
  });
});

describe("answers", () => {
  test("without a body, whatever their length says", async () => {
    const answers = {
      "HEAD /h": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
      "HEAD /c": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "GET /204": "HTTP/1.1 204 No Content\r\n\r\n",
      "GET /304": "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
      "GET /ok": OK,
    };
    runtime.answer = (socket, request, next) => {
      next();
      socket.write(answers[request.split(" HTTP")[0]]);
    };
    const client = new Client();
    for (const [line, answer] of Object.entries(answers)) {
      const text = await client.ask(`${line} HTTP/1.1\r\n${HOST}\r\n`, /\r\n\r\n(ok)?$/);
      assert.equal(text.replace(/x-trace-id: .*\r\n/, ""), answer);
    }
    assert.equal(runtime.came.length, 1, "all on one connection");
  });

  test("that end with their connection", async () => {
    runtime.answer = (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\nfirst ");
      setTimeout(() => socket.end("last"), 50);
    };
    const answer = await new Client().askAll(`GET /eof HTTP/1.1\r\n${HOST}\r\n`);
    assert.match(answer, /\r\nConnection: close\r\n\r\nfirst last$/);
    runtime.answer = (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\nfirst ");
      setTimeout(() => socket.resetAndDestroy(), 50);
    };
    const client = new Client();
    await client.askAll(`GET /eof HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal(client.ended, "ECONNRESET", "a broken one does not look whole");
  });

  test("whose length is never reached", async () => {
    const parts = [
      "Content-Length: 9\r\n\r\nfirst",
      "Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
    ];
    for (const part of parts) {
      runtime.answer = (socket) => socket.end(`HTTP/1.1 200 OK\r\n${part}`);
      const answer = await new Client().askAll(`GET /cut HTTP/1.1\r\n${HOST}\r\n`);
      assert.match(answer, /first(\r\n)?$/);
    }
  });

  test("that come byte by byte, after words of ones to come", async () => {
    const hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    runtime.answer = async (socket) => {
      for (const byte of `HTTP/1.1 100 Continue\r\n\r\n${hint}${OK}`) {
        socket.write(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const answer = await new Client().ask(`GET /hints HTTP/1.1\r\n${HOST}\r\n`, /ok$/);
    assert.ok(answer.startsWith(`${hint}HTTP/1.1 200 OK\r\n`), answer);
  });

  test("that are none: Andon says so", async () => {
    const bad = [
      "SSH-2.0-OpenSSH\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
      `HTTP/1.1 200 OK\r\nX: ${"a".repeat(70_000)}\r\n\r\n`,
      "HTTP/1.1 200",
    ];
    for (const answer of bad) {
      runtime.answer = (socket) => socket.end(answer);
      const text = await new Client().ask(`GET /bad HTTP/1.1\r\n${HOST}\r\n`, /\}$/);
      assert.match(text, /^HTTP\/1.1 502 [^]*\r\nx-andon-error: stream_broken\r\n[^]*x-trace-id: /);
    }
  });

  test("that come before the upload has ended", async () => {
    runtime.answer = (socket, request) => {
      if (request.length > 1_000) return;
      socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
    };
    const client = new Client();
    const head = `POST /early HTTP/1.1\r\n${HOST}Content-Length: 1000000\r\n\r\n`;
    const answer = await client.askAll(`${head}${"x".repeat(100)}`);
    assert.match(answer, /^HTTP\/1.1 413 [^]*\r\nConnection: close\r\n\r\nbig$/);
    await until("the runtime is left", () => runtime.open.size === 0);
  });
});

describe("connections", () => {
  const get = `GET /x HTTP/1.1\r\n${HOST}\r\n`;
  const post = `POST /x HTTP/1.1\r\n${HOST}Content-Length: 4\r\n\r\nbody`;

  test("one that the runtime closed between two calls is not used", async () => {
    runtime.answer = (socket) => {
      socket.write(OK);
      setTimeout(() => socket.end(), 50);
    };
    const client = new Client();
    await client.ask(post, /ok$/);
    await until("it is closed", () => runtime.open.size === 0);
    await client.ask(post, /ok$/);
    assert.equal(runtime.came.length, 2);
  });

  test("one that the runtime closes just when the next request comes: it is sent once more", async () => {
    for (const request of [get, post]) {
      runtime.came = [];
      let calls = 0;
      runtime.answer = (socket, text, next) => {
        next();
        calls += 1;
        // The second one reaches a runtime that is about to close.
        if (calls === 2) socket.resetAndDestroy();
        else socket.write(OK);
      };
      const client = new Client();
      await client.ask(request, /ok$/);
      await client.ask(request, /ok$/);
      assert.equal(calls, 3);
      assert.equal(bodyOf(runtime.came.at(-1)), bodyOf(request));
    }
  });

  test("a request is not sent twice on new ones, nor after a byte of an answer", async () => {
    runtime.answer = (socket) => socket.destroy();
    const client = new Client();
    assert.match(await client.ask(post, /\}$/), /^HTTP\/1.1 502 [^]*without an answer/);
    assert.equal(runtime.came.length, 1);
    let calls = 0;
    runtime.answer = (socket, text, next) => {
      next();
      calls += 1;
      if (calls === 2) socket.end("HTTP/1.1 2");
      else socket.write(OK);
    };
    await client.ask(post, /ok$/);
    assert.match(await client.ask(post, /\}$/), /^HTTP\/1.1 502 /);
    assert.equal(calls, 2);
  });

  test("a body that comes while such a connection is replaced is not forgotten", async () => {
    const [head, body] = [post.slice(0, -4), post.slice(-4)];
    for (let time = 0; time < 40; time += 1) {
      let calls = 0;
      runtime.answer = (socket, text, next) => {
        if (calls === 1) {
          calls += 1;
          socket.resetAndDestroy();
        } else if (isWhole(text)) {
          next();
          calls += 1;
          socket.write(OK);
        }
      };
      const client = new Client();
      await client.ask(post, /ok$/);
      client.socket.write(head);
      await new Promise((resolve) => setTimeout(resolve, time % 3));
      await client.ask(body, /ok$/);
      client.socket.destroy();
    }
  });

  test("a runtime that dies of a request does not get it again", async () => {
    let calls = 0;
    runtime.answer = (socket, text, next) => {
      next();
      calls += 1;
      if (calls === 2) setTimeout(() => socket.destroy(), 1_200);
      else socket.write(OK);
    };
    const client = new Client();
    await client.ask(post, /ok$/);
    assert.match(await client.ask(post, /\}$/), /^HTTP\/1.1 502 [^]*without an answer/);
    assert.equal(calls, 2);
  });

  test("one that the runtime wants closed, or wrote too much on, is left", async () => {
    const answers = [OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"), `${OK}HTTP/1.1 200`];
    for (const answer of answers) {
      runtime.came = [];
      runtime.answer = (socket) => socket.write(answer);
      const client = new Client();
      for (let time = 0; time < 2; time += 1) await client.ask(get, /ok$/);
      assert.equal(runtime.came.length, 2);
      await until("both are left", () => runtime.open.size === 0);
    }
  });

  const leaving = {
    "ends its side": (socket) => socket.end(),
    "resets its connection": (socket) => socket.resetAndDestroy(),
  };
  for (const [name, leave] of Object.entries(leaving)) {
    test(`a client that ${name} is gone: waiting, while it sends, and within its answer`, async () => {
      const upload = `POST /x HTTP/1.1\r\n${HOST}Content-Length: 1000000\r\n\r\n${"x".repeat(9_000)}`;
      const begun = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n";
      for (const [request, answer] of [[get], [upload], [get, begun], [upload, begun]]) {
        runtime.answer = (socket) => answer && socket.write(answer);
        const client = new Client();
        client.socket.write(request);
        await until("the runtime has it", () => runtime.open.size === 1);
        if (answer) await until("the answer has begun", () => client.text.endsWith("a\r\n"));
        leave(client.socket);
        await until("the runtime is left", () => runtime.open.size === 0, 5_000);
      }
    });
  }

  test("asked to end, Andon lets a running answer end and takes no more", async () => {
    const own = await startAndon({ options: { runtime: runtime.url }, ready: false });
    let socket;
    runtime.answer = (it) => {
      socket = it;
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
    };
    const idle = new Client(own);
    const busy = new Client(own);
    await busy.ask(get, /first$/);
    const ended = own.end();
    assert.equal(await within("the idle one's end", idle.end), "end");
    assert.match(await busy.ask("", /^$/), /^$/);
    socket.write(" last");
    await within("the busy one's end", busy.end);
    assert.equal(busy.text, " last");
    await ended;
  });
});
