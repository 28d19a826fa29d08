// `andon gen` and `andon query`, and the statements that docs/query.md shows.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { environment } from "./andon.mjs";
import { BINARY, ROOT } from "./paths.mjs";
import { run } from "./process.mjs";

/** Runs `andon query` to its end: `{code, stdout, stderr}`. */
export function query(folder, sql, { format = "json" } = {}) {
  const args = ["query", sql, `--format=${format}`, `--data=${path.join(folder, "data")}`];
  return run(BINARY, args, { cwd: folder, env: environment() });
}

/** What `andon query` answers, word for word. */
export async function answer(folder, sql, options) {
  const { code, stdout, stderr } = await query(folder, sql, options);
  assert.equal(code, 0, `${sql}: ${stderr}`);
  return stdout;
}

/** The rows that `andon query` answers, whose whole numbers are below 2^53. */
export async function rows(folder, sql) {
  return JSON.parse(await answer(folder, sql));
}

/** Nanoseconds since 1970, some hours ago. */
export function hoursAgo(hours) {
  return `${BigInt(Date.now() - hours * 3_600_000) * 1_000_000n}`;
}

/** Fills a folder by `andon gen`; flags by name. */
export async function generate(folder, flags) {
  const given = { data: path.join(folder, "data"), ...flags };
  const args = Object.entries(given).map(([name, value]) => `--${name}=${value}`);
  const { code, stderr } = await run(BINARY, ["gen", ...args], {
    cwd: folder,
    env: environment({ ANDON_LANG: "ja" }),
  });
  assert.equal(code, 0, stderr);
}

/** The examples of docs/query.md in a language. */
export async function examples(language) {
  const text = await readFile(path.join(ROOT, "docs/query.md"), "utf8");
  const found = text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms"));
  return [...found].map(([, example]) => example);
}
