// The machine's data for one time, kept up to date while somebody looks.

import { ApiFailure } from "../api/client";
import { endedTimes, type MachineRoute } from "../traces/route";
import { askMachine, type MachineAnswer } from "./ask";

const HOUR_MS = 3_600_000;
/** How often a time of this length or shorter is asked for anew; a long one moves slowly. */
const REFRESHES: [lengthMs: number, everyMs: number][] = [
  [HOUR_MS / 4, 2_000],
  [HOUR_MS, 10_000],
];
const SLOW_MS = 30_000;

/** Null for a time that is over: it changes no more. */
export function refreshEveryMs(route: MachineRoute, nowMs: number): number | null {
  const { fromMs, toMs } = endedTimes(route, nowMs);
  if (route.stretch && toMs < nowMs) return null;
  return REFRESHES.find(([lengthMs]) => toMs - fromMs <= lengthMs)?.[1] ?? SLOW_MS;
}

export interface Shown extends MachineAnswer {
  /** What was asked for; the address may be ahead of it. */
  route: MachineRoute;
}

export class MachineData {
  /** Null until the first answer. */
  shown = $state.raw<Shown | null>(null);
  /** Why the last question was not answered; what is shown is then out of date. */
  failure = $state.raw<ApiFailure | null>(null);
  /** Another time than the shown one was asked for. */
  busy = $state(true);

  #route: MachineRoute | null = null;
  #points = 0;
  #abort = new AbortController();
  #asking = false;

  /** Shows another time; the same one again is refreshed. */
  show(route: MachineRoute, points: number): void {
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
      const answer = await askMachine(endedTimes(route, Date.now()), this.#points, signal);
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

  /** Looks again and again while the page is seen; returns how to end it. */
  follow(route: MachineRoute): () => void {
    const everyMs = refreshEveryMs(route, Date.now());
    if (everyMs === null) return () => undefined;
    const look = (): void => {
      // A question that was not understood is not understood the next time either.
      if (!document.hidden && this.failure?.status !== 400) void this.refresh();
    };
    const timer = setInterval(look, everyMs);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }
}
