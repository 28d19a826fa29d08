// The system's Chromium, and a page that notes everything it complains about.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { PATIENCE_MS } from "./wait.mjs";

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launch() {
  const executablePath = BROWSERS.find((file) => existsSync(file));
  if (!executablePath) throw new Error("no Chromium is installed; `make test` installs one");
  return chromium.launch({ executablePath, args: ARGS });
}

/** A page of a fresh browser profile. `complaints` collects errors and violations of the CSP. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`console: ${message.text()}`);
  });
  return { context, page, complaints };
}

/** The same on a wide screen, in UTC and a language of Andon's, at an address; `prepare` sees it before. */
export async function openAt(browser, url, { language = "en", prepare, ...options } = {}) {
  const wide = { viewport: { width: 1440, height: 900 }, timezoneId: "UTC" };
  const opened = await openPage(browser, { ...wide, ...options });
  opened.page.setDefaultTimeout(PATIENCE_MS);
  await opened.page.addInitScript((chosen) => localStorage.setItem("andon.lang", chosen), language);
  prepare?.(opened.page);
  await opened.page.goto(url);
  return opened;
}

/** Composes `text` with an input method, as Japanese is typed, and leaves the composition open. */
export async function compose(page, text) {
  const cdp = await page.context().newCDPSession(page);
  for (let end = 1; end <= text.length; end += 1) {
    const part = text.slice(0, end);
    await cdp.send("Input.imeSetComposition", {
      text: part,
      selectionStart: part.length,
      selectionEnd: part.length,
    });
  }
  return {
    /** The Enter that chooses a word: browsers give it the key code 229. */
    async enter() {
      for (const type of ["rawKeyDown", "keyUp"]) {
        await cdp.send("Input.dispatchKeyEvent", {
          type,
          key: "Enter",
          code: "Enter",
          windowsVirtualKeyCode: 229,
        });
      }
    },
    /** The composition ends with this text in its place. */
    async commit(chosen) {
      await cdp.send("Input.insertText", { text: chosen });
      await cdp.detach();
    },
  };
}
