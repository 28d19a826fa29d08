// Why the call on its way takes long, as the server sees it while it runs.

import { getLive } from "../api/client";
import type { LiveCall, Phase } from "../api/types";
import { language } from "../i18n/language.svelte";
import type { Call } from "./call.svelte";

const AGAIN_MS = 1000;

export class Reason {
  #known = $state.raw<LiveCall | null>(null);

  /** Of the phase that the call is in; null where it takes no longer than usual, or nobody knows. */
  sentence(phase: Phase): string | null {
    return this.#known?.phase === phase ? (this.#known.waiting?.sentence ?? null) : null;
  }

  /** Asks again and again, in the page's language, until the returned function is called. */
  follow(call: Call): () => void {
    const lang = language();
    const abort = new AbortController();
    const look = async (): Promise<void> => {
      try {
        const { calls } = await getLive(lang, abort.signal);
        this.#known = calls.find((one) => isOf(one, call)) ?? null;
      } catch {
        // The line has reasons of its own, which hold for any call.
        this.#known = null;
      }
    };
    const timer = setInterval(() => void look(), AGAIN_MS);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }
}

/** A trace may hold more than one call; the one that waits is in the phase that was reported. */
function isOf(live: LiveCall, call: Call): boolean {
  return live.trace_id === call.answer.traceId && live.phase === call.phase;
}
