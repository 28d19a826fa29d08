// The answer's facts in words of the reader's language.

import { count, durationNs, percent } from "../format/format";
import type { Language } from "../i18n/language.svelte";
import type { traces } from "../i18n/en/traces";
import type { TraceTree } from "./model/tree";
import type { Why } from "./model/why";

type Texts = typeof traces;

const LONGEST_MESSAGE = 200;

function inBrackets(message: string, language: Language): string {
  if (!message) return "";
  const short = [...message].length > LONGEST_MESSAGE;
  const text = short ? `${[...message].slice(0, LONGEST_MESSAGE).join("")}…` : message;
  return language === "ja" ? `(${text})` : `: ${text.replace(/[.。]$/, "")}`;
}

function askedModel(tree: TraceTree): string {
  for (const node of tree.byId.values()) {
    const model = node.span.model_requested ?? node.span.model;
    if (model) return model;
  }
  return "–";
}

/** `system`, `tool definition 2` or `message 3` in words; null for anything else. */
function promptPart(told: unknown, t: Texts): string | null {
  const [, kind, number] = /^(system|tool definition|message)(?: (\d+))?$/.exec(String(told)) ?? [];
  if (kind === "system") return t.promptPart.system;
  if (kind === "message" || kind === "tool definition") return t.promptPart[kind](Number(number));
  return null;
}

/** What the runtime left out of a prompt; null where that isn't known. */
function cutWords(
  attributes: Record<string, unknown> | undefined,
  language: Language,
): { lost: string; limit: string; enough: string } | null {
  const number = (name: string): number | null => {
    const value = attributes?.[`andon.prompt.${name}`];
    return typeof value === "number" ? value : null;
  };
  const [lost, limit, enough] = [number("cut_tokens"), number("limit"), number("enough_context")];
  if (lost === null || limit === null || enough === null) return null;
  const word = (tokens: number) => count(tokens, language);
  return { lost: word(lost), limit: word(limit), enough: word(enough) };
}

export function whySentence(why: Why, tree: TraceTree, t: Texts, language: Language): string {
  const known = why.errorType ? t.errors[why.errorType] : undefined;
  const message = known ?? why.errorMessage ?? why.errorType ?? "";
  return t.why[why.cause]({
    total: durationNs(why.totalNs, language),
    part: durationNs(why.phaseNs, language),
    percent: percent(
      why.phaseNs === null ? null : why.phaseNs / Math.max(1, why.totalNs),
      language,
    ),
    phase: why.phaseNs === null ? null : why.phase,
    doing: why.phase === null ? null : t.doing[why.phase],
    model: askedModel(tree),
    message: inBrackets(message, language),
    cut: cutWords(why.evidence?.span.attributes, language),
    parted: promptPart(why.evidence?.span.attributes["andon.prompt.parted_at"], t),
  });
}
