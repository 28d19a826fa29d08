// The overview's data for one filter and time, kept up to date while somebody looks.

import { throttled } from "../traces/list/throttle";
import { endedTimes, type OverviewRoute } from "../traces/route";
import { listen } from "../traces/stream";
import { askOverview, type Overview } from "./ask";
import { Asked } from "./asked.svelte";

/** Time goes on in a range even where nothing is stored. */
const TICK_MS = 30_000;
/** While calls come in, a short range is asked anew so often; adding up a long one takes more. */
const SHORT_MS = 10_000;
const DAY_MS = 86_400_000;

export interface Shown extends Overview {
  /** What was asked for; the address may be ahead of it. */
  route: OverviewRoute;
}

export class OverviewData extends Asked<OverviewRoute, Overview> {
  protected override ask(
    route: OverviewRoute,
    points: number,
    signal: AbortSignal,
  ): Promise<Overview> {
    return askOverview(endedTimes(route, Date.now()), route.q, points, signal);
  }

  /** Follows the server while the page is seen; returns how to end it. */
  follow(route: OverviewRoute): () => void {
    const { fromMs, toMs } = endedTimes(route, Date.now());
    // What is over changes no more.
    if (route.stretch && toMs < Date.now()) return () => undefined;
    const everyMs = toMs - fromMs > DAY_MS ? TICK_MS : SHORT_MS;
    const refresh = throttled(() => this.refreshWhileSeen(), everyMs);
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
