// What people decide and do: notes on traces, and the audit of what was done to the records. Over the
// API, by the commands, in a browser, and over a crash.
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { environment, startAndon, temporaryFolder } from "./harness/andon.mjs";
import { launch, openPage } from "./harness/browser.mjs";
import { ask } from "./harness/http.mjs";
import { BINARY } from "./harness/paths.mjs";
import { run } from "./harness/process.mjs";
import { rows } from "./harness/query.mjs";

/** Nobody answers there. */
const NO_RUNTIME = "http://127.0.0.1:9";
const ANN = "ann.smith@example.org";

function andon(folder, ...args) {
  const data = `--data=${path.join(folder, "data")}`;
  return run(BINARY, [...args, data], { cwd: folder, env: environment({ ANDON_LANG: "en" }) });
}

function start(folder) {
  return startAndon({ data: folder, ready: false, options: { runtime: NO_RUNTIME } });
}

const traceId = (number) => `b6b6b6b6b6b6b6b6${number.toString(16).padStart(16, "0")}`;

/** A folder with traces of two users: 1, 5, 9, … are Ann's. */
async function ofTwo() {
  const folder = await temporaryFolder();
  const now = BigInt(Date.now()) * 1_000_000n;
  const line = (number) =>
    JSON.stringify({
      trace_id: traceId(number),
      span_id: number.toString(16).padStart(16, "0"),
      start_ns: 0,
      duration_ns: 10_000_000,
      user_id: number % 4 === 1 ? ANN : "bob",
      service: "shop",
      name: "GET /",
    }).replace('"start_ns":0', `"start_ns":${now - BigInt(number) * 1_000_000_000n}`);
  const file = path.join(folder, "spans.jsonl");
  const lines = Array.from({ length: 12 }, (_, number) => line(number + 1));
  await writeFile(file, lines.join("\n"));
  const taken = await andon(folder, "import", file);
  assert.equal(taken.code, 0, taken.stderr);
  await writeFile(file, "");
  return folder;
}

async function audit(folder, ...args) {
  const { code, stdout, stderr } = await andon(folder, "store", "audit", "--format=json", ...args);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** Files below a folder that hold these bytes. */
async function filesWith(folder, bytes) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const paths = files.map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));
  const held = await Promise.all(paths.map(async (file) => (await readFile(file)).includes(bytes)));
  return paths.filter((_, place) => held[place]);
}

describe("the audit", () => {
  test("says that a user's data was removed, to who knows the name, and does not keep it", async () => {
    const folder = await ofTwo();
    const done = await andon(folder, "store", "forget", `--user=${ANN}`, "--yes");
    assert.equal(done.code, 0, done.stderr);
    const [entry, ...more] = await audit(folder, `--user=${ANN}`);
    assert.equal(more.length, 0);
    assert.equal(entry.action, "forget");
    assert.equal(entry.actor, "command_line");
    assert.equal(entry.subject_kind, "user");
    assert.equal(entry.outcome, "done");
    assert.equal(entry.details.removed.traces, 3);
    assert.ok(entry.ended_ns >= entry.begun_ns && entry.begun_ns > 0);
    assert.deepEqual(await audit(folder, "--user=bob"), []);
    assert.deepEqual(await audit(folder, `--session=${ANN}`), []);
    const all = (await audit(folder)).map(({ action }) => action);
    assert.deepEqual(all, ["forget", "import"]);
    assert.deepEqual(await filesWith(path.join(folder, "data"), ANN), []);
    const table = await andon(folder, "store", "audit", "--format=table");
    assert.match(table.stdout, /forget user [0-9a-f]{16} {2}done {2}\(command line\)/);
  });

  test("is the same beside a running Andon, a page at a time", async () => {
    const folder = await ofTwo();
    const running = await start(folder);
    const forget = (body) => ask(`${running.url}/api/v1/store/forget`, { json: body });
    assert.equal((await forget({ user: ANN, preview: true })).status, 200);
    assert.equal((await forget({ user: ANN })).status, 200);
    assert.equal((await forget({ trace: traceId(2) })).status, 200);
    assert.equal((await forget({ user: "" })).status, 400);
    const [entry] = await audit(folder, `--user=${ANN}`);
    assert.deepEqual([entry.actor, entry.outcome], ["api", "done"]);
    const first = (await running.get("/api/v1/audit?limit=2")).json;
    assert.deepEqual(
      first.entries.map(({ subject_kind }) => subject_kind),
      ["trace", "user"],
    );
    const second = (await running.get(`/api/v1/audit?limit=2&before=${first.next}`)).json;
    assert.deepEqual([second.entries.length, second.next], [1, null]);
    for (const wrong of [
      "limit=0",
      "limit=1001",
      "user=a&session=b",
      "user=",
      "trace=7",
      "who=me",
    ]) {
      const { status, json } = await running.get(`/api/v1/audit?${wrong}`);
      assert.equal(status, 400, wrong);
      assert.ok(json.error, wrong);
    }
    await running.end();
  });
});

describe("notes", () => {
  const notes = (running, id) => `${running.url}/api/v1/traces/${id}/notes`;
  const texts = async (running, id) =>
    (await ask(notes(running, id))).json.notes.map(({ text }) => text);

  test("are kept over a crash, and go for good", async () => {
    const folder = await ofTwo();
    let running = await start(folder);
    const id = traceId(2);
    const added = await ask(notes(running, id), { json: { text: "  メモ: after the update\n" } });
    assert.equal(added.status, 200, added.text);
    assert.equal(added.json.text, "メモ: after the update");
    await running.kill();
    running = await start(folder);
    assert.deepEqual(await texts(running, id), ["メモ: after the update"]);
    assert.deepEqual(await texts(running, traceId(3)), []);
    const gone = await ask(`${notes(running, id)}/${added.json.id}`, { method: "DELETE" });
    assert.equal(gone.status, 200);
    const again = await ask(`${notes(running, id)}/${added.json.id}`, { method: "DELETE" });
    assert.equal(again.status, 404);
    assert.deepEqual(await texts(running, id), []);
    assert.deepEqual(await filesWith(path.join(folder, "data"), "after the update"), []);
    await running.end();
  });

  test("are refused with a reason", async () => {
    const folder = await ofTwo();
    const running = await start(folder);
    const add = (id, json) => ask(notes(running, id), { json });
    for (const [id, json, status, says] of [
      [traceId(2), { text: " \n" }, 400, /text/],
      [traceId(2), { text: "n".repeat(8 * 1024 + 1) }, 400, /8193 bytes.*8192/],
      [traceId(2), { text: "n".repeat(70_000) }, 413, /65536/],
      [traceId(2), { note: "n" }, 400, /note/],
      [traceId(99), { text: "n" }, 404, /trace/],
      ["abc", { text: "n" }, 400, /trace_id/],
    ]) {
      const refused = await add(id, json);
      assert.equal(refused.status, status, refused.text);
      assert.match(refused.json.error, says);
    }
    assert.equal((await add(traceId(2), { text: "n".repeat(8 * 1024) })).status, 200);
    const foreign = await ask(notes(running, traceId(2)), {
      json: { text: "n" },
      headers: { origin: "http://elsewhere.example" },
    });
    assert.equal(foreign.status, 403);
    await running.end();
  });

  test("go with the traces of whom they are about", async () => {
    const folder = await ofTwo();
    const running = await start(folder);
    for (const number of [1, 5, 2]) {
      await ask(notes(running, traceId(number)), { json: { text: `about ${number}, unseen` } });
    }
    const done = await andon(folder, "store", "forget", `--user=${ANN}`, "--yes");
    assert.match(done.stdout, /^notes: 2$/m);
    assert.deepEqual(await texts(running, traceId(1)), []);
    assert.deepEqual(await texts(running, traceId(2)), ["about 2, unseen"]);
    assert.deepEqual(await filesWith(path.join(folder, "data"), "about 5, unseen"), []);
    await running.end();
  });

  test("and the audit come back with a backup, and a broken file is named and set aside", async () => {
    const folder = await ofTwo();
    const running = await start(folder);
    await ask(notes(running, traceId(2)), { json: { text: "kept" } });
    const backup = path.join(folder, "backup");
    const copied = await andon(folder, "store", "backup", backup);
    assert.equal(copied.code, 0, copied.stderr);
    await running.end({ keep: true });
    const other = await temporaryFolder();
    const restored = await andon(other, "store", "restore", backup);
    assert.equal(restored.code, 0, restored.stderr);
    assert.deepEqual(
      (await audit(other)).map(({ action }) => action),
      ["restore", "import"],
    );
    assert.equal((await rows(other, "SELECT count(*) AS n FROM spans"))[0].n, 12);
    const twice = await andon(other, "store", "restore", backup);
    assert.notEqual(twice.code, 0);
    assert.match(twice.stderr, /holds notes or an audit already/);

    const file = path.join(other, "data/state.sqlite");
    const bytes = await readFile(file);
    const place = bytes.indexOf("kept");
    assert.ok(place > 0);
    bytes.write("lost", place);
    await writeFile(file, bytes);
    const found = await andon(other, "store", "verify");
    assert.equal(found.code, 1);
    assert.match(found.stdout, /damaged: .*state\.sqlite: 1 rows of note/);
    const without = await andon(other, "store", "repair");
    assert.match(without.stdout, /rows taken over: [1-9]/);
    assert.equal((await andon(other, "store", "verify")).code, 0);
    assert.deepEqual(
      (await audit(other)).map(({ action }) => action),
      ["repair", "restore", "import"],
    );
    // The file's beginning, without which SQLite cannot read it.
    await writeFile(file, bytes.fill(0x5a, 0, 200));
    const repaired = await andon(other, "store", "repair");
    assert.equal(repaired.code, 0, repaired.stderr);
    assert.match(repaired.stdout, /state\.sqlite.*set-aside/);
    assert.equal((await andon(other, "store", "verify")).code, 0);
  });
});

describe("notes in a browser", () => {
  let folder;
  let running;
  let browser;
  before(async () => {
    folder = await ofTwo();
    running = await start(folder);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await running?.end();
  });

  for (const [language, words] of [
    ["en", { add: "Add", remove: "Remove", really: "Remove for good" }],
    ["ja", { add: "追加", remove: "削除", really: "完全に削除する" }],
  ]) {
    test(`are written, found again and removed (${language})`, async () => {
      const { context, page, complaints } = await openPage(browser, {
        viewport: { width: 390, height: 844 },
      });
      await page.addInitScript((chosen) => localStorage.setItem("andon.lang", chosen), language);
      await page.goto(`${running.url}/andon/traces/${traceId(2)}`);
      const notes = page.locator("[data-testid=notes]");
      const add = notes.getByRole("button", { name: words.add, exact: true });
      await notes.waitFor();
      assert.ok(await add.isDisabled());
      await notes.locator("textarea").fill("<b>first</b>\nsecond line");
      await add.click();
      const note = notes.locator("article");
      await note.waitFor();
      assert.equal(await notes.locator("textarea").inputValue(), "");
      await notes.locator("textarea").fill("by the keyboard");
      await notes.locator("textarea").press("Control+Enter");
      await note.nth(1).waitFor();
      await page.reload();
      await note.nth(1).waitFor();
      assert.equal(await note.first().locator("p").innerText(), "<b>first</b>\nsecond line");
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${wide} px too wide`);
      for (let left = 2; left > 0; left -= 1) {
        await note.first().getByRole("button", { name: words.remove, exact: true }).click();
        await note.first().getByRole("button", { name: words.really }).click();
        await notes.locator(`article >> nth=${left - 1}`).waitFor({ state: "detached" });
      }
      assert.deepEqual(
        (await ask(`${running.url}/api/v1/traces/${traceId(2)}/notes`)).json.notes,
        [],
      );
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }
});
