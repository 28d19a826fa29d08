// One trace's data: its spans, and what the machine did meanwhile. Both may still be arriving when
// the page opens, for «why this time?» is clicked the moment an answer ends.

import { ApiFailure, getTrace, getTraceHost, getTraceWhy } from "../../api/client";
import type {
  Explanation,
  Span,
  SpanRunsOn,
  StoredTraces,
  TraceHostReply,
  TraceReply,
} from "../../api/types";
import { language } from "../../i18n/language.svelte";
import { SAMPLE_INTERVAL_NS } from "../model/lanes";
import { buildTree, type TraceTree } from "../model/tree";
import { listen } from "../stream";
import { OtherMachines, type Around, type HostState } from "./otherMachines.svelte";

export type TraceState = "loading" | "ready" | "missing" | "failed";

/** How often, and how long, a trace that isn't there is looked for again. */
const AGAIN_MS = 1000;
const AGAIN_TIMES = 10;
/** Samples after the trace are shown too; they come this much later. */
const SAMPLES_AFTER_MS = (4 * SAMPLE_INTERVAL_NS) / 1e6;
/** A trace that ended longer ago gets no more spans; nobody needs to listen. */
const SETTLED_MS = 120_000;

const EMPTY: TraceTree = buildTree([]);

export class Trace {
  state = $state<TraceState>("loading");
  failure = $state.raw<ApiFailure | null>(null);
  reply = $state.raw<TraceReply | null>(null);
  tree = $state.raw<TraceTree>(EMPTY);
  /** In the page's language; null until it is there, and where it could not be had. */
  why = $state.raw<Explanation | null>(null);
  host = $state.raw<TraceHostReply | null>(null);
  hostState = $state<HostState>("loading");
  /** Whether a missing trace is still looked for. */
  waiting = $state(true);

  readonly id: string;
  #abort = new AbortController();
  #others: OtherMachines;
  #timers: ReturnType<typeof setTimeout>[] = [];
  #tries = 0;
  #stopListening: (() => void) | null = null;

  constructor(id: string) {
    this.id = id;
    this.#others = new OtherMachines(id, this.#abort.signal);
  }

  /** Loads and follows the trace until the returned function is called. */
  start(): () => void {
    this.#stopListening = listen("/api/v1/traces/stream", "stored", {
      onEvent: (data) => {
        // No ids: the server lost count of what came; any trace may have changed.
        const ids = (data as Partial<StoredTraces>).trace_ids ?? [];
        if (ids.length === 0 || ids.includes(this.id)) void this.load();
      },
    });
    void this.load();
    return () => {
      this.#abort.abort();
      this.#unlisten();
      for (const timer of this.#timers) clearTimeout(timer);
    };
  }

  async load(): Promise<void> {
    try {
      const reply = await getTrace(this.id, this.#abort.signal);
      // Together, so that what stands below the answer does not jump when that comes.
      await this.loadWhy();
      this.reply = reply;
      this.tree = buildTree(reply.spans, reply.clock_shifts);
      this.state = "ready";
      this.failure = null;
      void this.loadHost();
      this.#settle();
    } catch (error) {
      this.#failed(error);
    }
  }

  async loadWhy(): Promise<void> {
    const asked = language();
    try {
      const why = await getTraceWhy(this.id, asked, this.#abort.signal);
      // The language may have changed meanwhile; then another answer is on its way.
      if (asked === language()) this.why = why;
    } catch {
      // The page says all else without it.
    }
  }

  /**
   * What the machine did that a span ran on, or that the runtime of a call is on; Andon's own where the
   * span names none that tells.
   */
  around(span: Span): Around {
    const own = { host: this.host, state: this.hostState };
    const runsOn = this.runsOn(span);
    if (runsOn?.host === null) return { ...own, silent: runsOn.address };
    const name = runsOn?.host ?? span.host;
    return (name === null ? null : this.#others.around(name)) ?? own;
  }

  /** The machine of a span is looked at: what it did is asked for, once. */
  wantAround(span: Span): void {
    const runsOn = this.runsOn(span);
    const name = runsOn ? runsOn.host : span.host;
    if (name !== null) void this.#others.want(name);
  }

  /** The machine of a call's runtime, where that is not Andon's own. */
  runsOn(span: Span): SpanRunsOn | undefined {
    return this.reply?.runs_on.find(({ span_id }) => span_id === span.span_id);
  }

  async loadHost(): Promise<void> {
    void this.#others.refresh();
    try {
      this.host = await getTraceHost(this.id, null, this.#abort.signal);
      this.hostState = "ready";
    } catch {
      if (!this.#abort.signal.aborted && !this.host) this.hostState = "failed";
    }
  }

  #failed(error: unknown): void {
    if (this.#abort.signal.aborted) return;
    const failure =
      error instanceof ApiFailure ? error : new ApiFailure("unexpected", String(error), 0);
    this.failure = failure;
    // What was loaded before stays; only a first load can fail.
    if (this.state === "ready") return;
    this.state = failure.status === 404 ? "missing" : "failed";
    this.waiting = this.state === "missing" && this.#tries < AGAIN_TIMES;
    if (!this.waiting) return;
    this.#tries += 1;
    this.#after(AGAIN_MS, () => void this.load());
  }

  /** Asks for the samples after the trace once they are there, and stops to listen in the end. */
  #settle(): void {
    const ended = (this.tree.startNs + this.tree.durationNs) / 1e6;
    const untilSamples = ended + SAMPLES_AFTER_MS - Date.now();
    if (untilSamples > 0 && untilSamples <= SETTLED_MS) {
      this.#after(untilSamples, () => void this.loadHost());
    }
    const untilSettled = ended + SETTLED_MS - Date.now();
    if (untilSettled <= 0) this.#unlisten();
    else if (untilSettled <= SETTLED_MS) this.#after(untilSettled, () => this.#unlisten());
  }

  #unlisten(): void {
    this.#stopListening?.();
    this.#stopListening = null;
  }

  #after(ms: number, then: () => void): void {
    this.#timers.push(setTimeout(then, ms));
  }
}
