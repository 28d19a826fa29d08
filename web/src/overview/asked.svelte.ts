// What a page asks the server for a time, and asks anew while somebody looks.

import { ApiFailure } from "../api/client";

export abstract class Asked<Route, Answer extends object> {
  /** With what was asked for, since the address may be ahead of it; null until the first answer. */
  shown = $state.raw<(Answer & { route: Route }) | null>(null);
  /** Why the last question was not answered; what is shown is then out of date. */
  failure = $state.raw<ApiFailure | null>(null);
  /** Another one than the shown was asked for. */
  busy = $state(true);

  #route: Route | null = null;
  #points = 0;
  #abort = new AbortController();
  #asking = false;

  /** `points` is the greatest number of steps that the charts have room for, where that is asked. */
  protected abstract ask(route: Route, points: number, signal: AbortSignal): Promise<Answer>;

  /** Shows another filter or time; the same one again is refreshed. */
  show(route: Route, points = 0): void {
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
      const answer = await this.ask(route, this.#points, signal);
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

  /** As a timer does it: not for a page that nobody sees. */
  protected refreshWhileSeen(): void {
    // A question that was not understood is not understood the next time either.
    if (!document.hidden && this.failure?.status !== 400) void this.refresh();
  }
}
