// The page that says how an app is connected, and turns green when its first span comes.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { randomBytes } from "node:crypto";
import { startAndon } from "./harness/andon.mjs";
import { launch, openPage } from "./harness/browser.mjs";
import { ask } from "./harness/http.mjs";
import { BINARY } from "./harness/paths.mjs";
import { freePort, run } from "./harness/process.mjs";

describe("connecting an app", () => {
  let andon;
  let otlp;
  let browser;

  before(async () => {
    otlp = `127.0.0.1:${await freePort()}`;
    andon = await startAndon({
      options: { "otlp-http-listen": otlp, runtime: "http://127.0.0.1:1", lang: "en" },
      ready: false,
    });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await andon?.end();
  });

  for (const [locale, waiting, arrived] of [
    ["en-GB", /Nothing has come yet/, /Spans arrive/],
    ["ja-JP", /スパンが届いています/, /スパンが届いています/],
  ]) {
    test(`the light turns green with the first span (${locale})`, async () => {
      const { page, complaints } = await openPage(browser, { locale });
      await page.goto(`${andon.url}/andon/connect`);
      if (locale === "ja-JP") await page.getByTestId("lang-switch").click();
      const lines = page.getByTestId("lines");
      await lines.waitFor();
      assert.match(await lines.innerText(), waiting);
      await page.getByRole("link", { name: "curl", exact: true }).click();
      await page.waitForURL("**/andon/connect?app=curl");
      assert.ok((await lines.innerText()).includes(`http://${otlp}/v1/traces`));
      const span = {
        traceId: randomBytes(16).toString("hex"),
        spanId: randomBytes(8).toString("hex"),
        name: "first",
      };
      const answer = await ask(`http://${otlp}/v1/traces`, {
        json: { resourceSpans: [{ scopeSpans: [{ spans: [span, { traceId: "00" }] }] }] },
      });
      assert.equal(answer.status, 200);
      await page.locator('[data-testid=lines][data-arrived="true"]').waitFor();
      assert.match(await lines.innerText(), arrived);
      const door = page.locator('[data-testid=intake] [data-door="otlp_http"]');
      assert.match(await door.innerText(), /trace id|トレース ID/);
      assert.deepEqual(complaints, []);
      await page.close();
    });
  }

  test("the lines of curl, as the command prints them, are a trace", async () => {
    const flags = ["--otlp-http-listen", otlp, "--capture-listen", "127.0.0.1:1"];
    const args = ["connect", "curl", ...flags, "--for-model", "tiny"];
    const { code, stdout } = await run(BINARY, args, { cwd: andon.folder });
    assert.equal(code, 0);
    const sent = await run("bash", ["-c", stdout], { cwd: andon.folder });
    assert.equal(sent.stdout.trim(), "{}", sent.stderr);
    const { traces } = (await andon.get("/api/v1/traces?q=model:tiny")).json;
    assert.equal(traces.length, 1);
  });
});
