// The calls that run now, and a clock for them.

import type { LiveCall, LiveReply } from "../../api/types";
import { language } from "../../i18n/language.svelte";
import { listen, type StreamState } from "../stream";

const TICK_MS = 100;

export class LiveCalls {
  calls = $state.raw<LiveCall[]>([]);
  now = $state(Date.now());

  /** Follows the server, in the page's language, until the returned function is called. */
  follow(): () => void {
    const stop = listen(`/api/v1/live?lang=${language()}`, "live", {
      onEvent: (data) => {
        this.calls = (data as Partial<LiveReply>).calls ?? [];
      },
      // Without the stream nobody knows what runs.
      onState: (state: StreamState) => {
        if (state !== "open") this.calls = [];
      },
    });
    const timer = setInterval(() => {
      if (this.calls.length > 0) this.now = Date.now();
    }, TICK_MS);
    return () => {
      stop();
      clearInterval(timer);
    };
  }
}
