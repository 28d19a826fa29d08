// The chat page and the trace page in a real browser, on a fresh Andon with the real model.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { spanOf, startAndon } from "./harness/andon.mjs";
import { compose, launch, openPage } from "./harness/browser.mjs";
import { ENDLESS, SHORT } from "./harness/messages.mjs";
import { PATIENCE_MS, until } from "./harness/wait.mjs";

const RISE_BYTES = 100e6;
const QUESTION = "日本で一番高い山は何ですか?";
const ids = (name) => `[data-testid="${name}"]`;

let andon;
let browser;
before(async () => {
  [andon, browser] = await Promise.all([startAndon(), launch()]);
});
after(async () => {
  await browser?.close();
  await andon?.end();
});

/** Notes what passes too quickly to be met by waiting: phases, states, lengths of the answer. */
function watchAnswers() {
  const seen = { phases: [], states: [], lengths: [], keys: [] };
  globalThis.seen = seen;
  const add = (list, value) => {
    if (value != null && list.at(-1) !== value) list.push(value);
  };
  const look = () => {
    add(seen.phases, document.querySelector('[data-testid="wait"]')?.dataset.phase);
    const answer = [...document.querySelectorAll('[data-testid="answer"]')].at(-1);
    add(seen.states, answer?.dataset.state);
    add(seen.lengths, answer?.querySelector('[data-testid="answer-text"]')?.textContent.length);
  };
  new MutationObserver(look).observe(document, {
    subtree: true,
    childList: true,
    attributes: true,
    characterData: true,
  });
  const note = ({ key, keyCode, isComposing }) => seen.keys.push({ key, keyCode, isComposing });
  addEventListener("keydown", note, true);
}

/** Opens the chat page and gives a handle with the steps that the tests share. */
async function openChat(options = {}) {
  const { context, page, complaints } = await openPage(browser, options);
  page.setDefaultTimeout(PATIENCE_MS);
  await page.addInitScript(watchAnswers);
  await page.goto(andon.url);
  await page.locator(ids("model-select")).waitFor();
  const answer = () => page.locator(ids("answer")).last();
  return {
    context,
    page,
    complaints,
    field: page.locator(ids("message-input")),
    answer,
    get: (name) => page.locator(ids(name)),
    /** Within the last answer. */
    of: (name) => answer().locator(ids(name)),
    seen: () => page.evaluate(() => globalThis.seen),
    state: (state) =>
      page
        .locator(`${ids("answer")}[data-state="${state}"]`)
        .last()
        .waitFor(),
    /** Waits until an element says it; the page writes a moment after what made it do so. */
    says: (name, hasText) => page.locator(ids(name)).filter({ hasText }).first().waitFor(),
    async ask(text) {
      await page.locator(ids("message-input")).fill(text);
      await page.keyboard.press("Enter");
    },
    async traceId() {
      const href = await answer().locator(ids("why-link")).getAttribute("href");
      return href.split("/").at(-1);
    },
  };
}

async function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
}

describe("the first question and the second", () => {
  let chat;
  let coldId;
  before(async () => {
    chat = await openChat();
  });
  after(() => chat?.context.close());

  test("the page speaks the server's language and names the model as what it is", async () => {
    assert.equal(await chat.page.evaluate(() => document.documentElement.lang), "ja");
    const options = await chat.get("model-select").locator("option").allTextContents();
    const all = options.join("\n");
    assert.match(all, /gemma3:270m/);
    assert.match(all, /\/chat → tinyllama:latest/);
    assert.match(all, /\/granite → granite3\.2:2b/);
    assert.match(await chat.get("recorded").textContent(), /10/);
  });

  test("Enter that ends a composition sends nothing", async () => {
    await chat.field.focus();
    const ime = await compose(chat.page, "にほんでいちばんたかいやまはなんですか");
    await ime.enter();
    const { keys } = await chat.seen();
    const enter = keys.find(({ key }) => key === "Enter");
    assert.equal(enter.isComposing, true, "the browser really composed");
    assert.equal(enter.keyCode, 229);
    assert.equal(await chat.get("answer").count(), 0);
    await ime.commit(QUESTION);
    assert.equal(await chat.field.inputValue(), QUESTION);
    // Safari: the composition is over already, and only the key code tells.
    await chat.field.evaluate((field) => {
      const init = { key: "Enter", code: "Enter", keyCode: 229, bubbles: true, cancelable: true };
      field.dispatchEvent(new KeyboardEvent("keydown", init));
    });
    await chat.page.keyboard.press("Shift+Enter");
    assert.equal(await chat.field.inputValue(), `${QUESTION}\n`, "Shift+Enter breaks the line");
    await chat.page.keyboard.press("Backspace");
    assert.equal(await chat.get("answer").count(), 0);
  });

  test("Enter sends; phases, a running clock and the streaming text are seen", async () => {
    await chat.page.keyboard.press("Enter");
    await chat.says("wait-clock", /\d/);
    await chat.state("done");
    const { phases, states, lengths } = await chat.seen();
    assert.ok(phases.includes("load"), `phases ${phases}`);
    assert.ok(phases.includes("prompt"), `phases ${phases}`);
    assert.ok(phases.includes("generate"), `phases ${phases}`);
    assert.deepEqual(states, ["streaming", "done"]);
    assert.ok(lengths.length >= 2, `the text grew while it came: ${lengths}`);
    assert.equal(await chat.get("question").textContent(), QUESTION);
    assert.ok(Number(await chat.of("response-time").getAttribute("data-ms")) > 100);
    assert.match(await chat.of("output-tokens").textContent(), /\d/);
    assert.match(await chat.of("tokens-per-second").textContent(), /\d/);
    assert.match(await chat.of("why-link").textContent(), /読み込み/, "a cold start says so");
    coldId = await chat.traceId();
  });

  test("why: browser, gateway, proxy and runtime in one tree, a cold start with its load", async () => {
    await chat.of("why-link").click();
    const { page } = chat;
    for (const service of ["browser", "gateway", "proxy", "runtime"]) {
      await page.locator(`${ids("span-row")}[data-service="${service}"]`).waitFor();
    }
    const tree = await page
      .locator(ids("span-row"))
      .evaluateAll((rows) =>
        rows.map((row) => [row.dataset.service, row.getAttribute("aria-level")]),
      );
    assert.deepEqual(tree, [
      ["browser", "1"],
      ["gateway", "2"],
      ["proxy", "3"],
      ["runtime", "4"],
    ]);
    await page.locator(`${ids("why-sentence")}[data-cause="cold_start"]`).waitFor();
    await chat.says("why-sentence", /読み込/);
    await page.locator(ids("cold-badge")).first().waitFor();
    const runtime = page.locator(`${ids("span-row")}[data-service="runtime"]`);
    await runtime.locator(`${ids("phase-segment")}[data-phase="load"]`).waitFor();

    const trace = await andon.trace(coldId);
    const llm = spanOf(trace, "runtime");
    assert.equal(llm.cause, "cold_start");
    assert.ok(llm.timings.load_ns > 100e6, `load took ${llm.timings.load_ns} ns`);
    const browserSpan = spanOf(trace, "browser");
    assert.ok(browserSpan.duration_ns >= spanOf(trace, "gateway").duration_ns);
    assert.ok(browserSpan.attributes.first_token_ms > 0);
  });

  test("the memory rise of the runtime's process is shown over the load", async () => {
    // Samples come each second; the page asks again by itself.
    const rise = chat.get("rss-rise");
    await rise.waitFor();
    const bytes = Number(await rise.getAttribute("data-bytes"));
    assert.ok(bytes > RISE_BYTES, `${bytes} bytes`);
    for (const lane of ["cpu", "memory", "rss"]) await chat.get(`lane-${lane}`).waitFor();
    assert.ok((await chat.page.locator('.shade[data-phase="load"]').count()) > 0);
  });

  test("the side panel shows what was kept, and every attribute", async () => {
    await chat.page.locator(`${ids("span-row")}[data-service="runtime"]`).click();
    await chat.get("tab-io").click();
    const content = chat.get("content").filter({ hasText: [...QUESTION].slice(0, 10).join("") });
    await content.first().waitFor();
    assert.ok(!(await chat.page.content()).includes(QUESTION), "the rest was never kept");
    await chat.get("tab-attributes").click();
    await chat.page.getByText("andon.runtime.threads").waitFor();
    await chat.get("tab-processes").click();
    await chat.page.locator(`${ids("process-row")}[data-role="runtime"]`).waitFor();
    assert.match(chat.page.url(), /[?&]span=/, "the view is in the address");
  });

  test("the second question is warm", async () => {
    await chat.page.goBack();
    await chat.page.locator(`${ids("answer")}[data-state="done"]`).waitFor();
    await chat.ask(SHORT);
    await until("there are two answers", async () => (await chat.get("answer").count()) === 2);
    await chat.state("done");
    await until(
      "it is done",
      async () => (await chat.answer().getAttribute("data-state")) === "done",
    );
    const warmId = await chat.traceId();
    assert.notEqual(warmId, coldId);
    const trace = await andon.traceWith(warmId, "browser", "runtime");
    assert.notEqual(spanOf(trace, "runtime").cause, "cold_start");
    assert.ok(spanOf(trace, "runtime").timings.load_ns < 100e6);
    const input = trace.contents.filter(({ part }) => part === "input");
    assert.equal(input.length, 3, "the follow-up carries question and answer along");

    await chat.page.goto(`${andon.url}/andon/`);
    const row = (id) => chat.page.locator(`${ids("trace-row")}[data-trace-id="${id}"]`);
    await row(coldId).locator(ids("cold-badge")).waitFor();
    await row(warmId).waitFor();
    assert.equal(await row(warmId).locator(ids("cold-badge")).count(), 0);
    assert.deepEqual(chat.complaints, []);
  });
});

describe("a conversation", () => {
  let chat;
  before(async () => {
    chat = await openChat();
  });
  after(() => chat?.context.close());
  afterEach(() => andon.idle());

  test("an empty message sends nothing and says so", async () => {
    await chat.field.focus();
    await chat.page.keyboard.press("Enter");
    await chat.says("notice", /メッセージを入力/);
    assert.equal(await chat.get("answer").count(), 0);
  });

  test("an answer can be stopped; the generation ends", async () => {
    await chat.get("settings").click();
    await chat.get("temperature").fill("0");
    await chat.get("output-limit").fill("3000");
    await chat.get("settings-close").click();
    await chat.ask(ENDLESS);
    await chat.of("answer-text").waitFor();
    const [call] = await until("the call is seen", async () => {
      const calls = await andon.live();
      return calls.length > 0 && calls;
    });
    await chat.get("stop").click();
    await chat.state("stopped");
    await andon.idle();
    assert.ok((await chat.of("answer-text").textContent()).length > 0, "what came stays");
    const trace = await andon.traceWith(call.trace_id, "browser", "gateway", "proxy", "runtime");
    assert.equal(spanOf(trace, "runtime").error_type, "client_gone");
    assert.equal(spanOf(trace, "browser").attributes.outcome, "stopped");
  });

  test("the last question can be edited, its answer is replaced", async () => {
    await chat.get("edit").click();
    await until("the question is in the field", async () => {
      return (await chat.field.inputValue()) === ENDLESS;
    });
    await chat.ask(SHORT);
    await chat.state("done");
    assert.deepEqual(await chat.get("question").allTextContents(), [SHORT]);
    assert.equal(await chat.get("answer").count(), 1);
  });

  test("an answer can be had again, and both are kept", async () => {
    const before = await chat.traceId();
    await chat.get("regenerate").click();
    await chat.get("answer-number").waitFor();
    await chat.says("answer-number", /2.*2/);
    await chat.state("done");
    assert.notEqual(await chat.traceId(), before);
    await chat.page.getByLabel("前の回答").click();
    await chat.says("answer-number", /1.*2/);
    assert.equal(await chat.traceId(), before);
  });

  test("a thumb becomes an evaluation, and can be taken back", async () => {
    const id = await chat.traceId();
    const score = () =>
      until("the vote is stored", async () => {
        const { evaluations } = await andon.trace(id);
        return evaluations.length > 0 && evaluations.at(-1);
      });
    const pressed = (value) =>
      until(
        "the thumb shows it",
        async () => (await chat.of("thumb-up").getAttribute("aria-pressed")) === value,
      );
    await chat.of("thumb-up").click();
    await pressed("true");
    const vote = await score();
    assert.equal(vote.score, 1);
    assert.equal(vote.source, "human");
    assert.equal(vote.span_id, spanOf(await andon.trace(id), "runtime").span_id);
    await chat.of("thumb-up").click();
    await pressed("false");
    await until("it is taken back", async () => {
      const { evaluations } = await andon.trace(id);
      return evaluations.at(-1).score === 0;
    });
  });

  test("a private conversation leaves no text on the server", async () => {
    await chat.get("new-conversation").click();
    await chat.get("private-toggle").click();
    await chat.page.locator(`${ids("private-toggle")}[aria-pressed="true"]`).waitFor();
    const secret = "合言葉は赤い風船です。覚えてください。";
    await chat.ask(secret);
    await chat.state("done");
    const trace = await andon.traceWith(await chat.traceId(), "browser", "runtime");
    assert.ok(trace.contents.length > 0);
    for (const content of trace.contents) assert.equal(content.text, "");
    const bytes = Buffer.concat(Object.values(await andon.kept()));
    assert.ok(!bytes.includes("合言葉"));
  });

  test("conversations survive a reload and can be exported", async () => {
    await chat.page.reload();
    await chat.get("conversation").first().waitFor();
    assert.ok((await chat.get("conversation").count()) >= 2);
    const download = chat.page.waitForEvent("download");
    await chat.get("export-json").first().dispatchEvent("click");
    const stream = await (await download).createReadStream();
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    assert.ok(JSON.parse(Buffer.concat(chunks).toString()), "it is JSON");
  });

  test("the language can be switched and stays switched", async () => {
    await chat.get("lang-switch").click();
    const language = () => chat.page.evaluate(() => document.documentElement.lang);
    await chat.says("send", "Send");
    assert.equal(await language(), "en");
    await chat.page.reload();
    await chat.get("send").waitFor();
    assert.equal(await language(), "en");
    await chat.page.goto(`${andon.url}/andon/`);
    await chat.get("trace-row").first().waitFor();
    assert.equal(await language(), "en");
    assert.deepEqual(chat.complaints, []);
  });
});

describe("other ways to use it", () => {
  test("at 390 px: nothing sticks out, and the whole way works", async () => {
    const chat = await openChat({ viewport: { width: 390, height: 844 }, hasTouch: true });
    assert.ok((await overflow(chat.page)) <= 0, "the chat page");
    await chat.field.fill(SHORT);
    await chat.get("send").tap();
    await chat.state("done");
    assert.ok((await overflow(chat.page)) <= 0, "with an answer");
    await chat.of("why-link").tap();
    await chat.page.locator(`${ids("span-row")}[data-service="runtime"]`).waitFor();
    assert.ok((await overflow(chat.page)) <= 0, "the trace page");
    await chat.page.goto(`${andon.url}/andon/`);
    await chat.get("trace-row").first().waitFor();
    assert.ok((await overflow(chat.page)) <= 0, "the list");
    assert.deepEqual(chat.complaints, []);
    await chat.context.close();
  });

  test("with the keyboard alone", async () => {
    const chat = await openChat();
    const { page } = chat;
    const focused = () => page.evaluate(() => document.activeElement?.dataset.testid ?? "");
    const tabTo = async (name, key = "Tab") => {
      for (let steps = 0; steps < 60; steps += 1) {
        if ((await focused()) === name) return;
        await page.keyboard.press(key);
      }
      assert.fail(`${name} cannot be reached with ${key}; the last was ${await focused()}`);
    };
    await tabTo("message-input");
    await page.keyboard.type("Hello!");
    await page.keyboard.press("Enter");
    await chat.state("done");
    await tabTo("why-link", "Shift+Tab");
    await page.keyboard.press("Enter");
    await page.locator(`${ids("span-row")}[data-service="runtime"]`).waitFor();
    // Into the tree of spans, down to the call of the model, and its figures beside it.
    const selected = () => page.locator(`${ids("span-row")}[aria-selected="true"]`);
    await page.getByRole("tree").focus();
    await page.keyboard.press("End");
    await until("the last span is chosen", async () => {
      return (await selected().getAttribute("data-service")) === "runtime";
    });
    await page.keyboard.press("ArrowUp");
    await until("the one above it is chosen", async () => {
      return (await selected().getAttribute("data-service")) === "proxy";
    });
    await chat.context.close();
  });

  test("in the dark", async () => {
    const chat = await openChat({ colorScheme: "dark" });
    const colours = await chat.page.evaluate(() => {
      const { backgroundColor, color } = getComputedStyle(document.body);
      return [backgroundColor, color].map((text) => {
        const [red, green, blue] = text.match(/[\d.]+/g).map(Number);
        return red + green + blue;
      });
    });
    assert.ok(colours[0] < colours[1], "the text is lighter than the ground");
    await chat.context.close();
  });
});

describe("when something breaks", () => {
  test("a runtime that dies is said in words, with a retry that works", async () => {
    const chat = await openChat();
    await chat.get("settings").click();
    await chat.get("output-limit").fill("3000");
    await chat.get("temperature").fill("0");
    await chat.get("settings-close").click();
    await chat.ask(ENDLESS);
    await chat.of("answer-text").waitFor();
    process.kill(await andon.runtimePid(), "SIGKILL");
    await chat.page.locator(`${ids("error")}[data-code="runtime_down"]`).waitFor();
    assert.ok((await chat.of("answer-text").textContent()).length > 0, "what came stays");
    await chat.get("retry").click();
    await chat.state("streaming");
    await chat.of("answer-text").waitFor();
    await chat.get("stop").click();
    await chat.state("stopped");
    await andon.idle();
    await chat.context.close();
  });

  test("a server that is gone is said in words too", async () => {
    const chat = await openChat();
    await andon.kill();
    await chat.ask(SHORT);
    await chat.state("error");
    await chat.says("error", /.{10}/);
    await chat.get("retry").waitFor();
    await chat.context.close();
  });
});
