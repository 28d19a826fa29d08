// What machines other than Andon's own did around a trace. Spans name the machine that they ran on,
// and only those that send samples of themselves have something to tell.

import { untrack } from "svelte";
import { SvelteMap } from "svelte/reactivity";
import { getTraceHost } from "../../api/client";
import type { TraceHostReply } from "../../api/types";

export type HostState = "loading" | "ready" | "failed";

export interface Around {
  host: TraceHostReply | null;
  state: HostState;
  /** Where the runtime is, where that machine tells nothing and this is Andon's own instead. */
  silent?: string;
}

const LOADING: Around = { host: null, state: "loading" };
const FAILED: Around = { host: null, state: "failed" };

export class OtherMachines {
  /** By the names that spans have; null for a name that Andon's own machine answers to. */
  #found = new SvelteMap<string, Around | null>();
  readonly #traceId: string;
  readonly #signal: AbortSignal;

  constructor(traceId: string, signal: AbortSignal) {
    this.#traceId = traceId;
    this.#signal = signal;
  }

  /** Null where it is Andon's own machine that tells. */
  around(name: string): Around | null {
    const found = this.#found.get(name);
    return found === undefined ? LOADING : found;
  }

  /** Asks about a machine, unless that was done already. An effect may call it: it follows nothing. */
  async want(name: string): Promise<void> {
    const found = untrack(() => this.#found.get(name));
    if (found !== undefined && found !== FAILED) return;
    this.#found.set(name, LOADING);
    await this.#ask(name);
  }

  /** Samples after the trace come later than its spans. */
  async refresh(): Promise<void> {
    const others = [...this.#found].filter(([, found]) => found?.host);
    await Promise.all(others.map(([name]) => this.#ask(name)));
  }

  async #ask(name: string): Promise<void> {
    try {
      const host = await getTraceHost(this.#traceId, name, this.#signal);
      // A name that sends nothing is answered with Andon's own machine, which is there already.
      this.#found.set(name, host.host === null ? null : { host, state: "ready" });
    } catch {
      // What was there before is better than nothing.
      if (this.#signal.aborted || this.#found.get(name)?.host) return;
      this.#found.set(name, FAILED);
    }
  }
}
