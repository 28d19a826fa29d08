// The runtimes' state, asked for as often as Andon itself looks.

import { ApiFailure, getRuntimes } from "../../api/client";
import type { RuntimeReply } from "../../api/types";
import { KeptModels } from "./kept.svelte";

const REFRESH_MS = 5_000;

export class Runtimes {
  /** Null until the first answer. */
  all = $state.raw<RuntimeReply[] | null>(null);
  failure = $state.raw<ApiFailure | null>(null);
  readonly kept = new KeptModels();
  /** For the times that are left, in milliseconds since 1970. */
  now = $state(Date.now());

  /** Looks now and again; returns how to end it. */
  follow(): () => void {
    const abort = new AbortController();
    const look = (): void => {
      if (!document.hidden) void this.refresh(abort.signal);
    };
    look();
    const timer = setInterval(look, REFRESH_MS);
    document.addEventListener("visibilitychange", look);
    return () => {
      abort.abort();
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }

  async refresh(signal?: AbortSignal): Promise<void> {
    try {
      const [{ runtimes }] = await Promise.all([getRuntimes(signal), this.kept.refresh(signal)]);
      this.all = runtimes;
      this.failure = null;
    } catch (error) {
      if (signal?.aborted) return;
      this.failure =
        error instanceof ApiFailure ? error : new ApiFailure("unexpected", String(error), 0);
    }
    this.now = Date.now();
  }
}
