// What a runtime's card says, from what the API says. Pure, so that it can be tried without a page.

import type { ModelInfo, RuntimeReply } from "../../api/types";
import { count, duration, percent, UNKNOWN } from "../../format/format";
import { toggleTerm } from "../model/filter";
import { EMPTY_LIST, routeHref } from "../route";
import type { Language } from "../../i18n/language.svelte";
import type { runtimes as Texts } from "../../i18n/en/runtimes";

/** Times beyond this are Ollama's way to say «never». */
export const NEVER_MS = 365 * 86_400_000;

/** What it said of its work; nothing of what it did not say. */
export function work(
  load: RuntimeReply["load"],
  t: typeof Texts,
  language: Language,
): { label: string; value: string }[] {
  const running =
    load.running !== null && load.slots !== null
      ? t.of(count(load.running, language), count(load.slots, language))
      : count(load.running, language);
  const facts = [
    { label: t.running, value: running },
    { label: t.waiting, value: count(load.waiting, language) },
    { label: t.cacheUsed, value: percent(load.cache_used, language) },
    { label: t.cacheHits, value: percent(load.cache_hits, language) },
    { label: t.queue, value: duration(load.queue_ms, language) },
    { label: t.prefill, value: duration(load.prefill_ms, language) },
    { label: t.decode, value: duration(load.decode_ms, language) },
  ];
  return facts.filter(({ value }) => value !== UNKNOWN);
}

export function context(model: ModelInfo, t: typeof Texts, language: Language): string {
  const [loaded, most] = [model.loaded_context_length, model.context_length];
  if (loaded !== null && most !== null && loaded !== most) {
    return t.contextOf(count(loaded, language), count(most, language));
  }
  return count(loaded ?? most, language);
}

/** The share on the GPU where the runtime tells it and there is any. */
export function onGpu(model: Pick<ModelInfo, "memory_bytes" | "gpu_bytes">): number | null {
  if (!model.memory_bytes || model.gpu_bytes === null || model.gpu_bytes === 0) return null;
  return model.gpu_bytes / model.memory_bytes;
}

export function expires(
  model: ModelInfo,
  nowMs: number,
  t: typeof Texts,
  language: Language,
): string | null {
  if (model.expires_ns === null || !model.loaded) return null;
  const leftMs = model.expires_ns / 1e6 - nowMs;
  if (leftMs > NEVER_MS) return t.never;
  return duration(Math.max(0, Math.round(leftMs / 1000) * 1000), language);
}

/** The traces of a runtime. */
export function tracesHref(name: string): string {
  return routeHref({ ...EMPTY_LIST, q: toggleTerm("", "service", name) });
}

/** Loaded ones first, then as the runtime lists them. */
export function inOrder(models: ModelInfo[]): ModelInfo[] {
  return [...models].sort((a, b) => Number(b.loaded) - Number(a.loaded));
}
