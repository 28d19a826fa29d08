// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import type { Span } from "../api/types";
import { traces as en } from "../i18n/en/traces";
import { traces as ja } from "../i18n/ja/traces";
import { CAUSES } from "./model/causes";
import { SECOND, span, timings } from "./model/testing";
import { buildTree } from "./model/tree";
import { explain } from "./model/why";
import { whySentence } from "./sentence";

function sentences(call: Partial<Span>): { en: string; ja: string } {
  const tree = buildTree([
    span(1, null, { duration_ns: 29.6 * SECOND, kind: "server" }),
    span(2, 1, { duration_ns: 29.6 * SECOND, llm_kind: "llm", ...call }),
  ]);
  const why = explain(tree);
  return { en: whySentence(why, tree, en, "en"), ja: whySentence(why, tree, ja, "ja") };
}

describe("the sentence", () => {
  it("tells a cold start with its time and share", () => {
    const said = sentences({
      cause: "cold_start",
      timings: timings({ load_ns: 22.4 * SECOND, eval_ns: 4.9 * SECOND }),
    });
    expect(said.en).toBe("Cold start. Loading the model took 22.4 s of 29.6 s (76 %).");
    expect(said.ja).toBe(
      "コールドスタートです。29.6 秒のうち 22.4 秒(76 %)がモデルの読み込みです。",
    );
  });

  it("tells in which phase the time ran out", () => {
    const said = sentences({
      status: "error",
      error_type: "timeout",
      attributes: { "andon.error.phase": "generate" },
    });
    expect(said.en).toBe("Stopped by the time limit after 29.6 s, while writing the answer.");
    expect(said.ja).toContain("回答の生成の途中で時間切れ");
  });

  it("puts an error's type into words and quotes what it does not know, shortened", () => {
    expect(sentences({ status: "error", error_type: "bad_json" }).en).toBe(
      "It failed: the request was not valid JSON.",
    );
    const unknown = sentences({ status: "error", error_message: "x".repeat(5000) });
    expect(unknown.en.length).toBeLessThan(300);
  });

  it("names the part of the prompt that lost the cache", () => {
    const lost = (part: string) =>
      sentences({
        cause: "prompt_cache_lost",
        timings: timings({ prompt_eval_ns: 22.4 * SECOND }),
        attributes: { "andon.prompt.parted_at": part },
      });
    expect(lost("system").en).toBe(
      "The prompt had to be read anew, because the system text changed. " +
        "Reading it took 22.4 s of 29.6 s (76 %).",
    );
    expect(lost("tool definition 2").ja).toContain("2 番目のツール定義が変わったため");
    expect(lost("message 3").en).toContain("message 3 changed");
    expect(lost("anything").en).toContain("The prompt had to be read anew. ");
  });

  it("says how much of a prompt was left out, and what to set", () => {
    const said = sentences({
      cause: "prompt_cut",
      attributes: {
        "andon.prompt.cut_tokens": 1234,
        "andon.prompt.limit": 2048,
        "andon.prompt.enough_context": 4096,
      },
    });
    expect(said.en).toBe(
      "About 1,234 tokens of the prompt were left out, because the context holds 2,048. " +
        "Set num_ctx to 4,096 or more.",
    );
    expect(said.ja).toContain("約 1,234 トークン");
  });

  it("exists for every cause and never shows a hole", () => {
    for (const cause of CAUSES) {
      const said = sentences({ cause, timings: timings({ eval_ns: 9 * SECOND }) });
      for (const text of Object.values(said)) {
        expect(text.length).toBeGreaterThan(10);
        expect(text).not.toMatch(/undefined|null|NaN/);
      }
    }
  });
});
