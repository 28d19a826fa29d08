// @vitest-environment happy-dom
import { beforeEach, expect, it, vi } from "vitest";

type Module = typeof import("./language.svelte");

/** The module as a page loads it, in a browser of that language. */
async function load(browser: string): Promise<Module> {
  vi.resetModules();
  vi.stubGlobal("navigator", { language: browser });
  return import("./language.svelte");
}

beforeEach(() => localStorage.clear());

it("follows the browser", async () => {
  expect((await load("ja-JP")).language()).toBe("ja");
  expect((await load("fr-FR")).language()).toBe("en");
});

it("prefers what the server is set to over the browser, and the reader's choice over both", async () => {
  const page = await load("en-US");
  page.suggestLanguage(null);
  expect(page.language()).toBe("en");
  page.suggestLanguage("ja");
  expect(page.language()).toBe("ja");
  page.setLanguage("en");
  page.suggestLanguage("ja");
  expect(page.language()).toBe("en");
  expect((await load("ja-JP")).language()).toBe("en");
});

it("gives an area's texts in the current language", async () => {
  const page = await load("ja");
  const words = page.area({ send: "Send" }, { send: "送信" });
  expect(words().send).toBe("送信");
  page.setLanguage("en");
  expect(words().send).toBe("Send");
  expect(document.documentElement.lang).toBe("en");
});
