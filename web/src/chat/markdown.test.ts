// @vitest-environment happy-dom
import { flushSync, mount, unmount } from "svelte";
import { afterEach, describe, expect, it } from "vitest";
import Markdown from "./Markdown.svelte";
import { BlockReader, isLineBreak, plain, safeLink } from "./markdown";

let shown: Record<string, unknown> | null = null;

function render(text: string): HTMLElement {
  shown = mount(Markdown, { target: document.body, props: { text, finished: true } });
  flushSync();
  return document.body;
}

afterEach(async () => {
  if (shown) await unmount(shown);
  shown = null;
  document.body.innerHTML = "";
});

describe("what a model writes", () => {
  it.each([
    "<script>alert(1)</script>",
    "text <img src=x onerror=alert(1)> text",
    "<iframe src='https://example.org'></iframe>",
    "<svg onload=alert(1)>",
    "- item <b onclick=x>b</b>",
    "| a |\n| - |\n| <img src=x> |",
    "> <style>*{}</style>",
    "![alt](https://example.org/x.png)",
    "[x]: https://example.org\n![y][x]",
  ])("%s makes no such element", (text) => {
    const body = render(text);
    expect(body.querySelectorAll("script,img,iframe,svg[onload],style,b")).toHaveLength(0);
    expect(body.innerHTML).not.toMatch(/<[^>]+\son\w+=/u);
  });

  it("follows no dangerous link", () => {
    const body = render(
      "[a](javascript:alert(1)) [b](JaVaScRiPt:x) [c](data:text/html,x) [d](vbscript:x) [e](//example.org) [f](https://example.org)",
    );
    const links = [...body.querySelectorAll("a")];
    expect(links.map((link) => link.getAttribute("href"))).toEqual(["https://example.org/"]);
    expect(links[0]?.rel).toContain("noopener");
    expect(body.textContent).toContain("a b c d e f");
  });

  it("keeps the spaces around words", () => {
    const body = render("one **two** three `four` five<br>six\nseven &amp; eight");
    expect(body.querySelector("p")?.textContent?.trim()).toBe(
      "one two three four fivesixseven & eight",
    );
    expect(body.querySelectorAll("br")).toHaveLength(2);
  });

  it("shows code as it stands, with its language", () => {
    const body = render('```ts\nconst a = "<b>" && 1;\n```');
    expect(body.querySelector("pre")?.textContent).toBe('const a = "<b>" && 1;');
    expect(body.querySelector("figcaption span")?.textContent).toBe("ts");
  });

  it("shows lists, tasks, tables and headings below the page's own", () => {
    const body = render(
      "# H\n\n3. c\n4. d\n   - e\n\n- [x] done\n- [ ] open\n\n| a | b |\n| :- | -: |\n| 1 | 2 |",
    );
    expect(body.querySelector("h3")?.textContent?.trim()).toBe("H");
    expect(body.querySelector("ol")?.getAttribute("start")).toBe("3");
    expect(body.querySelector("ol ul li")?.textContent?.trim()).toBe("e");
    expect(body.querySelectorAll("li.task")).toHaveLength(2);
    expect(body.querySelector("td:last-child")?.getAttribute("style")).toContain("right");
  });

  it("does not overflow on deep nesting", () => {
    const body = render(`${"> ".repeat(400)}deep`);
    expect(body.textContent).toContain("deep");
  });
});

describe("BlockReader", () => {
  const text =
    "# Title\n\nFirst *words* here.\n\n- one\n- two\n\n  more of two\n\n```js\nlet a = 1;\n\nlet b;\n```\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\nLast.";
  const shape = (blocks: { offset: number; token: { type: string; raw: string } }[]) =>
    blocks.map(({ offset, token }) => [offset, token.type, token.raw.trim()]);

  it("reads a growing text to the same blocks as the whole", () => {
    for (const step of [1, 3, 7]) {
      const reader = new BlockReader();
      for (let end = step; end < text.length; end += step) reader.read(text.slice(0, end), false);
      expect(shape(reader.read(text, false))).toEqual(shape(new BlockReader().read(text, true)));
    }
  });

  it("leaves finished blocks the very same objects", () => {
    const reader = new BlockReader();
    const before = reader.read("# Title\n\nOne.\n\nTw", false);
    const after = reader.read("# Title\n\nOne.\n\nTwo, three", false);
    expect(after[0]).toBe(before[0]);
    expect(after[1]).toBe(before[1]);
    expect(after[2]).not.toBe(before[2]);
  });

  it("starts anew when the text is another one", () => {
    const reader = new BlockReader();
    reader.read("abc\n\ndef", false);
    expect(shape(reader.read("x", false))).toEqual([[0, "paragraph", "x"]]);
  });

  it("finds link definitions below their use once the text is complete", () => {
    const reader = new BlockReader();
    const late = "See [g].\n\nText.\n\n[g]: https://example.org";
    reader.read(late.slice(0, 20), false);
    const paragraph = reader.read(late, true)[0]?.token as { tokens?: { type: string }[] };
    expect(paragraph.tokens?.some((token) => token.type === "link")).toBe(true);
  });
});

it("decodes entities without making characters that do not exist", () => {
  expect(plain("a &lt;b&gt; &amp; &#8594; &#x41; &nosuch; &#xD800;")).toBe(
    "a <b> & → A &nosuch; \uFFFD",
  );
});

it("knows safe addresses", () => {
  expect(safeLink("https://example.org/a b")).toBe("https://example.org/a%20b");
  expect(safeLink("mailto:a@example.org")).toBe("mailto:a@example.org");
  expect(safeLink(" javascript:alert(1)")).toBeNull();
  expect(safeLink("java\nscript:alert(1)")).toBeNull();
  expect(safeLink("/relative")).toBeNull();
});

it("takes <br> alone for a line break", () => {
  expect(isLineBreak("<br />")).toBe(true);
  expect(isLineBreak("<br onclick=x>")).toBe(false);
});
