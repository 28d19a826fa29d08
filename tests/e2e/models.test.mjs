// Model files that are not what they should be, or not there.
import assert from "node:assert/strict";
import { copyFile, mkdir, open, readFile, rm, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { startAndon, temporaryFolder } from "./harness/andon.mjs";
import { SHORT } from "./harness/messages.mjs";
import { MODEL } from "./harness/paths.mjs";
import { until } from "./harness/wait.mjs";

test("a model that was altered or cut short is refused, with its name and both checksums", async () => {
  const folder = await temporaryFolder();
  const file = path.join(folder, "broken.gguf");
  const expected = (await readFile(`${MODEL}.sha256`, "utf8")).slice(0, 64);
  let andon;
  try {
    await copyFile(MODEL, file);
    await writeFile(`${file}.sha256`, `${expected}  broken.gguf\n`);
    const handle = await open(file, "r+");
    await handle.write(Buffer.from("altered"), 0, 7, 200_000_000);
    await handle.close();
    andon = await startAndon({ options: { model: folder } });
    const altered = await andon.chat(SHORT);
    assert.equal(altered.status, 500, altered.text);
    assert.ok(altered.text.includes(file), altered.text);
    const sums = new Set(altered.text.match(/\b[0-9a-f]{64}\b/g));
    assert.ok(sums.has(expected) && sums.size === 2, altered.text);

    await truncate(file, 100_000_000);
    const cut = await until("the shorter file is seen", async () => {
      const asked = await andon.chat(SHORT);
      return asked.text.includes(file) && !asked.text.includes(expected) && asked;
    });
    assert.equal(cut.status, 500, cut.text);
  } finally {
    await andon?.end();
    await rm(folder, { recursive: true, force: true });
  }
});

test("without a model Andon runs on, says how to give it one, and takes it when it comes", async () => {
  const folder = await temporaryFolder();
  const models = path.join(folder, "models");
  await mkdir(models);
  const andon = await startAndon({ options: { model: models } });
  try {
    const answer = await andon.chat(SHORT);
    assert.equal(answer.status, 500, answer.text);
    assert.equal(answer.json.code, "model_missing");
    await until("the first lines say what to do", () =>
      andon.program.stderr.includes("--model FILE.gguf"),
    );
    await copyFile(MODEL, path.join(models, path.basename(MODEL)));
    const works = await until("the new model answers", async () => {
      const asked = await andon.chat(SHORT);
      return asked.status === 200 && asked;
    });
    assert.ok(works.json.reply.length > 0);
  } finally {
    await andon.end();
    await rm(folder, { recursive: true, force: true });
  }
});
