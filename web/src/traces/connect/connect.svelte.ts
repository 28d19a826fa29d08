// The lines to paste, and whether anything has come since.

import { ApiFailure, getConnections, getIntake } from "../../api/client";
import type { Connection, IntakeDoor } from "../../api/types";

const REFRESH_MS = 2_000;

export class Connecting {
  recipes = $state.raw<Connection[] | null>(null);
  doors = $state.raw<IntakeDoor[] | null>(null);
  failure = $state.raw<ApiFailure | null>(null);
  /** For how long ago something was, in milliseconds since 1970. */
  now = $state(Date.now());

  /** Looks now and again; returns how to end it. */
  follow(lang: string): () => void {
    const abort = new AbortController();
    const look = (): void => {
      if (!document.hidden) void this.refresh(lang, abort.signal);
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

  async refresh(lang: string, signal?: AbortSignal): Promise<void> {
    try {
      const [connections, intake] = await Promise.all([
        getConnections(lang, signal),
        getIntake(signal),
      ]);
      this.recipes = connections.recipes;
      this.doors = intake.doors;
      this.failure = null;
    } catch (error) {
      if (signal?.aborted) return;
      this.failure =
        error instanceof ApiFailure ? error : new ApiFailure("unexpected", String(error), 0);
    }
    this.now = Date.now();
  }
}
