// The overview's data for one filter and time, kept up to date while somebody looks.

import { ApiFailure } from "../api/client";
import { throttled } from "../traces/list/throttle";
import { endedTimes, type OverviewRoute } from "../traces/route";
import { listen } from "../traces/stream";
import { askOverview, type Overview } from "./ask";

/** Time goes on in a range even where nothing is stored. */
const TICK_MS = 30_000;
/** While calls come in, a short range is asked anew so often; adding up a long one takes more. */
const SHORT_MS = 10_000;
const DAY_MS = 86_400_000;

export interface Shown extends Overview {
  /** What was asked for; the address may be ahead of it. */
  route: OverviewRoute;
}

export class OverviewData {
  /** Null until the first answer. */
  shown = $state.raw<Shown | null>(null);
  /** Why the last question was not answered; what is shown is then out of date. */
  failure = $state.raw<ApiFailure | null>(null);
  /** Another filter or time than the shown one was asked for. */
  busy = $state(true);

  #route: OverviewRoute | null = null;
  #points = 0;
  #abort = new AbortController();
  #asking = false;

  /** Shows another filter or time; the same one again is refreshed. */
  show(route: OverviewRoute, points: number): void {
    const same = points === this.#points && JSON.stringify(route) === JSON.stringify(this.#route);
    this.#route = route;
    this.#points = points;
    if (!same) {
      this.#abort.abort();
      this.#abort = new AbortController();
      this.#asking = false;
      this.busy = true;
    }
    void this.refresh();
  }

  async refresh(): Promise<void> {
    const route = this.#route;
    const { signal } = this.#abort;
    // A slow answer must not be overtaken by a second question for the same.
    if (!route || this.#asking) return;
    this.#asking = true;
    try {
      const asked = endedTimes(route, Date.now());
      const answer = await askOverview(asked, route.q, this.#points, signal);
      if (signal.aborted) return;
      this.shown = { ...answer, route };
      this.failure = null;
    } catch (error) {
      if (signal.aborted) return;
      this.failure =
        error instanceof ApiFailure ? error : new ApiFailure("unexpected", String(error), 0);
    }
    this.busy = false;
    this.#asking = false;
  }

  /** Follows the server while the page is seen; returns how to end it. */
  follow(route: OverviewRoute): () => void {
    const { fromMs, toMs } = endedTimes(route, Date.now());
    // What is over changes no more.
    if (route.stretch && toMs < Date.now()) return () => undefined;
    const everyMs = toMs - fromMs > DAY_MS ? TICK_MS : SHORT_MS;
    const refresh = throttled(() => {
      // A question that was not understood is not understood the next time either.
      if (!document.hidden && this.failure?.status !== 400) void this.refresh();
    }, everyMs);
    let missed = false;
    const stop = listen("/api/v1/traces/stream", "stored", {
      onState: (state) => {
        // What was stored while nobody listened is asked for now.
        if (state === "open" && missed) refresh();
        missed = state !== "open";
      },
      onEvent: refresh,
    });
    const timer = setInterval(refresh, TICK_MS);
    return () => {
      stop();
      clearInterval(timer);
      refresh.cancel();
    };
  }
}
