// The door: what may be listened on, who may ask, and what a stranger's web page may not.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { environment, startAndon, temporaryFolder } from "./harness/andon.mjs";
import { ask } from "./harness/http.mjs";
import { SHORT } from "./harness/messages.mjs";
import { BINARY } from "./harness/paths.mjs";
import { freePort, run } from "./harness/process.mjs";

const PASSWORD = "開けゴマ open sesame";

describe("beyond loopback", () => {
  for (const flag of ["listen", "proxy-listen"]) {
    test(`--${flag} without a password is refused, with what to do`, async () => {
      const cwd = await temporaryFolder();
      const args = ["up", "--data=data", `--${flag}=0.0.0.0:${await freePort()}`];
      const { code, stderr } = await run(BINARY, args, { cwd, env: environment() });
      assert.equal(code, 1);
      assert.match(stderr, /--password-file/);
      assert.match(stderr, /ANDON_PASSWORD/);
    });
  }

  test("an empty password file is no password", async () => {
    const cwd = await temporaryFolder();
    await writeFile(path.join(cwd, "empty"), "\n");
    const args = ["up", "--data=data", "--password-file=empty", "--listen=0.0.0.0:0"];
    const { code, stderr } = await run(BINARY, args, { cwd, env: environment() });
    assert.equal(code, 1);
    assert.match(stderr, /empty/);
  });

  test("wrong usage is exit status 2", async () => {
    const { code } = await run(BINARY, ["up", "--no-such-flag"], { env: environment() });
    assert.equal(code, 2);
  });
});

describe("with a password", () => {
  let andon;
  before(async () => {
    const file = path.join(await temporaryFolder(), "password");
    await writeFile(file, `${PASSWORD}\n`);
    const port = await freePort();
    // Really beyond loopback, asked over loopback.
    const options = { "password-file": file, listen: `0.0.0.0:${port}` };
    andon = await startAndon({ options, ready: false });
    andon.url = `http://127.0.0.1:${port}`;
  });
  after(() => andon?.end());

  const bearer = { authorization: `Bearer ${Buffer.from(PASSWORD).toString("latin1")}` };

  test("pages, API and chat ask for it", async () => {
    for (const route of ["/api/v1/traces", "/api/v1/models", "/readyz"]) {
      const answer = await andon.get(route);
      assert.equal(answer.status, 401, route);
      assert.equal(answer.json.code, "unauthorized");
      assert.equal(answer.headers["www-authenticate"], "Bearer");
    }
    assert.equal((await andon.chat(SHORT)).status, 401);
    assert.equal((await andon.get("/healthz")).status, 200, "aliveness is no secret");
  });

  test("a browser gets the login page, and with the password its cookie", async () => {
    const html = { accept: "text/html" };
    const page = await andon.get("/", { headers: html });
    assert.equal(page.status, 401);
    assert.match(page.text, /<form[^>]*action="\/login"/);
    assert.match(page.text, /type="password"/);
    const login = (password) =>
      andon.get("/login", {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", origin: andon.url },
        body: new URLSearchParams({ password }).toString(),
      });
    const wrong = await login("open sesami");
    assert.equal(wrong.status, 401);
    assert.equal(wrong.headers["set-cookie"], undefined);
    const right = await login(PASSWORD);
    assert.equal(right.status, 303);
    const [cookie] = right.headers["set-cookie"];
    assert.match(cookie, /HttpOnly/);
    assert.match(cookie, /SameSite=Strict/);
    const headers = { ...html, cookie: cookie.split(";")[0] };
    assert.equal((await andon.get("/", { headers })).status, 200);
    assert.equal((await andon.get("/api/v1/traces", { headers })).status, 200);
    const forged = { ...html, cookie: `${headers.cookie}0` };
    assert.equal((await andon.get("/", { headers: forged })).status, 401);
  });

  test("programs send it as a key, and a wrong one costs time", async () => {
    assert.equal((await andon.get("/api/v1/traces", { headers: bearer })).status, 200);
    const key = { "x-api-key": bearer.authorization.slice("Bearer ".length) };
    assert.equal((await andon.get("/api/v1/traces", { headers: key })).status, 200);
    const startedMs = Date.now();
    const wrong = await andon.get("/api/v1/traces", { headers: { authorization: "Bearer x" } });
    assert.equal(wrong.status, 401);
    assert.ok(Date.now() - startedMs >= 400);
  });

  test("the whole way works with it, and the password lies nowhere", async () => {
    const answer = await andon.chat(SHORT, {}, { headers: bearer });
    assert.equal(answer.status, 200, answer.text);
    const bytes = Buffer.concat(Object.values(await andon.kept()));
    assert.ok(!bytes.includes("open sesame"));
    assert.ok(!andon.program.output().includes("open sesame"));
  });
});

describe("strangers' names and pages", () => {
  let andon;
  before(async () => {
    const options = {
      "allowed-hosts": "andon.example",
      "allowed-origins": "https://chat.example",
    };
    andon = await startAndon({ options });
  });
  after(() => andon?.end());

  test("a Host that is no name of this machine is refused, on the proxy too", async () => {
    for (const base of [andon.url, andon.proxyUrl]) {
      for (const host of ["evil.example", "127.0.0.1.evil.example", "evil.example:3000"]) {
        const answer = await ask(`${base}/chat`, { json: { message: SHORT }, headers: { host } });
        assert.equal(answer.status, 403, `${host} ${answer.text}`);
        assert.equal(answer.json.code, "forbidden");
        assert.match(answer.json.error, /Host/);
      }
    }
    for (const host of ["andon.example", "localhost", "[::1]:3000"]) {
      assert.equal((await andon.get("/healthz", { headers: { host } })).status, 200, host);
    }
  });

  test("a foreign Origin is refused before anything happens", async () => {
    for (const origin of ["https://evil.example", "null", "http://localhost.evil.example"]) {
      for (const base of [andon.url, andon.proxyUrl]) {
        const headers = { origin };
        const answer = await ask(`${base}/chat`, { json: { message: SHORT }, headers });
        assert.equal(answer.status, 403, `${origin} ${answer.text}`);
        assert.equal(answer.headers["access-control-allow-origin"], undefined);
        const preflight = await ask(`${base}/chat`, { method: "OPTIONS", headers });
        assert.equal(preflight.status, 403);
      }
    }
    assert.deepEqual(await andon.traces("service:runtime"), []);
  });

  test("pages of other loopback ports may chat, and nothing else", async () => {
    const headers = { origin: "http://localhost:8080" };
    const preflight = await andon.get("/chat", { method: "OPTIONS", headers });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers["access-control-allow-origin"], headers.origin);
    assert.match(preflight.headers["access-control-allow-headers"], /content-type.*traceparent/);
    const answer = await andon.chat("", {}, { headers });
    assert.equal(answer.status, 400);
    assert.equal(answer.headers["access-control-allow-origin"], headers.origin);
    assert.match(answer.headers["access-control-expose-headers"], /x-trace-id/);
    assert.equal((await andon.get("/api/v1/traces", { headers })).status, 403);
    const events = { events: [] };
    assert.equal((await andon.post("/api/v1/rum", events, { headers })).status, 403);
  });

  test("an allowed origin may ask", async () => {
    const headers = { origin: "https://chat.example" };
    const answer = await andon.get("/api/v1/traces", { headers });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["access-control-allow-origin"], headers.origin);
  });

  test("pages come with a strict policy", async () => {
    for (const route of ["/", "/andon/", "/andon/traces/x"]) {
      const page = await andon.get(route);
      assert.equal(page.status, 200, route);
      const policy = page.headers["content-security-policy"];
      assert.match(policy, /default-src 'self'/);
      assert.ok(!/script-src|unsafe-eval|https?:/.test(policy), policy);
      assert.equal(page.headers["x-content-type-options"], "nosniff");
      const outside = page.text.match(/(src|href)="https?:[^"]*"/);
      assert.equal(outside, null, "nothing is loaded from outside");
    }
  });
});
