// The columns of the tables: which figure each shows, in the reader's words.

import { count, durationNs, percent, shortCount, UNKNOWN } from "../../format/format";
import type { Language } from "../../i18n/language.svelte";
import type { Figures } from "../../api/types";

export type Column =
  "calls" | "requests" | "share" | "errors" | "p50" | "p95" | "ttft" | "speed" | "tokens";

export type Table = "models" | "causes" | "services";

export const COLUMNS: Record<Table, Column[]> = {
  models: ["calls", "errors", "p50", "p95", "ttft", "speed", "tokens"],
  causes: ["calls", "share", "p50", "p95"],
  services: ["requests", "errors", "p50", "p95"],
};

/** One cell; `total` is what all rows come to. */
export function cellText(
  column: Column,
  figures: Figures,
  total: Figures,
  language: Language,
): string {
  switch (column) {
    case "calls":
    case "requests":
      return count(figures.count, language);
    case "share":
      return percent(total.count > 0 ? figures.count / total.count : null, language);
    case "errors":
      return count(figures.errors, language);
    case "p50":
      return durationNs(figures.duration?.p50_ns, language);
    case "p95":
      return durationNs(figures.duration?.p95_ns, language);
    case "ttft":
      return durationNs(figures.ttft?.p95_ns, language);
    case "speed":
      return speed(figures.tokens_per_s, language);
    case "tokens":
      return `${shortCount(figures.input_tokens, language)} → ${shortCount(figures.output_tokens, language)}`;
  }
}

/** Tokens a second, whose unit is in the column's head. */
export function speed(value: number | null, language: Language): string {
  if (value === null) return UNKNOWN;
  const tenths = Math.round(value * 10) / 10;
  return tenths >= 100
    ? count(value, language)
    : new Intl.NumberFormat(language, { minimumFractionDigits: 1 }).format(tenths);
}
