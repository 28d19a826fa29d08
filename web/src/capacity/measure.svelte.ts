// Measuring the machine when somebody asks for it.

import { ApiFailure, measureMachine } from "../api/client";

export class Measuring {
  /** It takes all cores meanwhile. */
  busy = $state(false);
  failure = $state.raw<ApiFailure | null>(null);

  /** `done` is called when there is a measurement. */
  async measure(done: () => void): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.failure = null;
    try {
      await measureMachine();
      done();
    } catch (error) {
      this.failure =
        error instanceof ApiFailure ? error : new ApiFailure("unexpected", String(error), 0);
    }
    this.busy = false;
  }
}
