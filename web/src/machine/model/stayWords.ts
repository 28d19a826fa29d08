// A stay in a model's memory in words.

import { bytes, count, durationLimit, percent } from "../../format/format";
import type { machine as Texts } from "../../i18n/en/machine";
import type { Language } from "../../i18n/language.svelte";
import { NEVER_MS, onGpu } from "../../traces/runtimes/facts";
import type { Bar, StayLane } from "./stays";
import { seen } from "./uses";

export interface StayWords {
  /** From when to when, and how long. */
  times: string;
  /** Memory, share on the GPU, context; empty where nobody told. */
  facts: string;
  /** Why it left, or until when it stays. */
  why: string;
}

interface Spoken {
  words: (typeof Texts)["stays"];
  onGpu: (share: string) => string;
  language: Language;
  /** Whether the axis ends now; otherwise nobody asked what came after it. */
  isNow: boolean;
  nowMs: number;
  timeZone?: string;
}

export function laneLabel({ model, runtime }: StayLane, words: Spoken["words"]): string {
  return runtime === null ? model : words.lane(model, runtime);
}

export function stayWords(bar: Bar, spoken: Spoken): StayWords {
  const { words, language } = spoken;
  const { stay } = bar;
  const share = onGpu(stay);
  const facts = [
    stay.memory_bytes === null ? null : bytes(stay.memory_bytes, language),
    share === null ? null : spoken.onGpu(percent(share, language)),
    stay.context_length === null ? null : words.context(count(stay.context_length, language)),
  ];
  return {
    times: [times(bar, spoken), length(bar, spoken)].filter((part) => part !== null).join(" · "),
    facts: facts.filter((part) => part !== null).join(" · "),
    why: why(bar, spoken),
  };
}

function times({ stay }: Bar, { words, isNow, nowMs, timeZone }: Spoken): string {
  const range = { first_seen_ns: stay.from_ns, last_seen_ns: stay.to_ns ?? stay.from_ns };
  const [from, to] = seen(range, nowMs, timeZone);
  const begun = stay.was_seen_to_come ? from : words.before(from);
  if (stay.to_ns === null) return words.times(begun, isNow ? words.now : words.beyond);
  return words.times(begun, stay.was_seen_to_go ? to : words.lastSeen(to));
}

/** Runtimes are asked every few seconds: parts of one are not known. */
function length({ stay, lengthNs, leave }: Bar, { words, language, isNow }: Spoken): string | null {
  const ms = Math.round(lengthNs / 1e9) * 1000;
  if (ms === 0) return null;
  const told = durationLimit(ms, language);
  const isWhole = stay.was_seen_to_come && (leave === "here" ? isNow : stay.was_seen_to_go);
  return isWhole ? told : words.atLeast(told);
}

function why({ stay, leave }: Bar, { words, isNow, nowMs, timeZone }: Spoken): string {
  if (leave === "evicted") return words.reasons.evicted(stay.other_model);
  if (leave !== "here") return words.reasons[leave];
  const leftMs = stay.expires_ns === null ? null : stay.expires_ns / 1e6 - nowMs;
  // As it was told when the model came: each call puts it off.
  if (!isNow || leftMs === null || leftMs <= 0) return words.here;
  if (leftMs > NEVER_MS) return words.never;
  const end = stay.expires_ns ?? 0;
  return words.until(seen({ first_seen_ns: end, last_seen_ns: end }, nowMs, timeZone)[0]);
}
