// The list's data: pages of traces for one query, kept up to date from the top.

import { ApiFailure, getTraces } from "../../api/client";
import type { TracesReply, TraceSummary } from "../../api/types";
import { rfc3339 } from "../../format/time";
import { appendOlder, mergeNewest, MOST_ROWS, NO_IDS } from "../model/merge";
import { askedTimes, type ListRoute } from "../route";

const PAGE = 200;
const FLASH_MS = 1600;

export type ListState = "loading" | "ready" | "failed";

export class TraceList {
  rows = $state.raw<TraceSummary[]>([]);
  facets = $state.raw<TracesReply["facets"] | null>(null);
  total = $state(0);
  /** There may be more traces, whose texts were not searched. */
  isPartial = $state(false);
  state = $state<ListState>("loading");
  /** Why the newest page could not be had; with rows shown they are stale. */
  failure = $state.raw<ApiFailure | null>(null);
  loadingMore = $state(false);
  moreFailure = $state.raw<ApiFailure | null>(null);
  cursor = $state<string | null>(null);
  /** Ids that just came in. */
  fresh = $state.raw(NO_IDS);
  /** The times that the shown rows were asked for. */
  asked = $state.raw<{ fromMs: number | null; toMs: number | null }>({ fromMs: null, toMs: null });
  /** Where the reader was, for when they come back from a trace. */
  scrollY = 0;

  #route: ListRoute | null = null;
  #abort = new AbortController();
  #flash: ReturnType<typeof setTimeout> | undefined;

  get full(): boolean {
    return this.rows.length >= MOST_ROWS;
  }

  /** Shows another query; the same one again keeps what is there and refreshes it. */
  show(route: ListRoute): void {
    const same = this.#route && JSON.stringify(this.#route) === JSON.stringify(route);
    this.#route = route;
    if (!same) {
      this.#abort.abort();
      this.#abort = new AbortController();
      this.state = "loading";
      this.moreFailure = null;
      this.loadingMore = false;
      this.scrollY = 0;
    }
    void this.refresh();
  }

  async refresh(): Promise<void> {
    const first = this.state !== "ready";
    const times = this.#route ? askedTimes(this.#route, Date.now()) : null;
    const reply = await this.#ask(null, (failure) => {
      this.failure = failure;
      if (first) this.state = "failed";
    });
    if (!reply) return;
    const merged = mergeNewest(first ? [] : this.rows, reply.traces, reply.next_cursor === null);
    this.rows = merged.rows;
    if (merged.restarted || first) this.cursor = reply.next_cursor;
    if (times) this.asked = times;
    this.facets = reply.facets;
    this.total = reply.total_matched;
    this.isPartial = reply.is_partial;
    this.failure = null;
    this.state = "ready";
    if (!first) this.#flashRows(merged.fresh);
  }

  async more(): Promise<void> {
    if (!this.cursor || this.loadingMore || this.full || this.state !== "ready") return;
    this.loadingMore = true;
    this.moreFailure = null;
    const reply = await this.#ask(this.cursor, (failure) => (this.moreFailure = failure));
    this.loadingMore = false;
    if (!reply) return;
    this.rows = appendOlder(this.rows, reply.traces);
    this.cursor = reply.next_cursor;
  }

  /** Null when it failed (and `onFailure` was told) or when another query came between. */
  async #ask(
    cursor: string | null,
    onFailure: (failure: ApiFailure) => void,
  ): Promise<TracesReply | null> {
    const route = this.#route;
    const signal = this.#abort.signal;
    if (!route) return null;
    const { fromMs, toMs } = askedTimes(route, Date.now());
    const iso = (ms: number | null): string | null => (ms === null ? null : rfc3339(ms * 1e6));
    try {
      const query = { from: iso(fromMs), to: iso(toMs), q: route.q, limit: PAGE, cursor };
      const reply = await getTraces(query, signal);
      return signal.aborted ? null : reply;
    } catch (error) {
      if (signal.aborted) return null;
      onFailure(
        error instanceof ApiFailure ? error : new ApiFailure("unexpected", String(error), 0),
      );
      return null;
    }
  }

  #flashRows(ids: ReadonlySet<string>): void {
    if (ids.size === 0) return;
    this.fresh = ids;
    clearTimeout(this.#flash);
    this.#flash = setTimeout(() => (this.fresh = NO_IDS), FLASH_MS);
  }
}
