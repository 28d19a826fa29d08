/**
 * One question on its way: takes the stream's events into the answer, at most once a frame, and
 * knows for the waiting line how things stand.
 */
import type { ApiFailure } from "../api/client";
import type { ChatReply, ChatStart, Phase, PhaseReport } from "../api/types";
import type { AskEvent } from "./ask";
import type { Answer } from "./conversation";
import type { BrowserSpan } from "./trace-context";
import { type HeardReport, type PhaseStarts, noteStart } from "./waiting";

/** A hidden page has no frames; its text still has to come in. */
const HIDDEN_FLUSH_MS = 250;

export class Call {
  heard = $state.raw<HeardReport | null>(null);
  starts = $state.raw<PhaseStarts>({});
  timeoutMs = $state<number | null>(null);
  /** Pieces received, for a rate where the server tells none. */
  pieces = $state(0);
  firstPieceMs: number | null = null;

  readonly sentAtMs = performance.now();
  readonly #abort = new AbortController();
  #text = "";
  #thinking = "";
  #scheduled = false;

  constructor(
    /** As it lies in the conversation: reactive. */
    readonly answer: Answer,
    readonly span: BrowserSpan,
  ) {}

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  stop(): void {
    this.#abort.abort();
  }

  get phase(): Phase | null {
    return this.heard?.report.phase ?? null;
  }

  take(event: AskEvent): void {
    switch (event.event) {
      case "start":
        return this.#start(event.data);
      case "phase":
        return this.#report(event.data);
      case "token":
        this.pieces += 1;
        this.firstPieceMs ??= performance.now() - this.sentAtMs;
        this.#text += event.data.text;
        return this.#schedule();
      case "thinking":
        this.pieces += 1;
        this.firstPieceMs ??= performance.now() - this.sentAtMs;
        this.#thinking += event.data.text;
        return this.#schedule();
      case "done":
        return this.#done(event.data);
    }
  }

  /** Puts what came in since the last frame into the answer. */
  flush = (): void => {
    this.#scheduled = false;
    if (this.#text) this.answer.text += this.#text;
    if (this.#thinking) this.answer.thinking += this.#thinking;
    this.#text = "";
    this.#thinking = "";
  };

  stopped(): void {
    this.flush();
    this.answer.state = "stopped";
    this.answer.outputTokens ??= this.heard?.report.tokens || this.pieces || null;
    this.answer.tokensPerSecond ??= this.heard?.report.tokens_per_s ?? null;
  }

  failed(failure: ApiFailure): void {
    this.flush();
    const { body } = failure;
    const { answer } = this;
    answer.state = "error";
    answer.requestId = body?.request_id ?? answer.requestId;
    answer.timings = body?.timings ?? answer.timings;
    answer.problem = {
      code: failure.code,
      message: failure.message,
      phase: body?.phase ?? this.phase,
      timeoutMs: this.timeoutMs,
      retryAfterS: body?.retry_after_s ?? null,
      detail: detailText(body?.detail),
    };
  }

  #start(start: ChatStart): void {
    this.timeoutMs = start.timeout_ms;
    this.answer.traceId = start.trace_id;
    this.answer.requestId = start.request_id;
    this.answer.spanId = start.span_id;
    this.answer.modelRequested = start.model_requested;
  }

  #report(report: PhaseReport): void {
    this.heard = { report, heardAtMs: performance.now() };
    this.starts = noteStart(this.starts, report);
    if (report.prompt_cached !== null) this.answer.cachedTokens = report.prompt_cached;
  }

  #done(reply: ChatReply): void {
    this.flush();
    const { answer } = this;
    // The whole text is the truth; what was streamed may miss a piece that a filter held back.
    if (reply.reply) answer.text = reply.reply;
    if (reply.thinking) answer.thinking = reply.thinking;
    answer.state = "done";
    answer.traceId = reply.trace_id || answer.traceId;
    answer.requestId = reply.request_id;
    answer.spanId = reply.span_id ?? answer.spanId;
    answer.model = reply.model;
    answer.modelRequested = reply.model_requested;
    answer.note = reply.note;
    answer.coldStart = reply.cold_start;
    answer.finishReason = reply.finish_reason;
    answer.promptTokens = reply.prompt_eval_count;
    answer.outputTokens = reply.eval_count;
    answer.timings = reply.timings;
    answer.tokensPerSecond = rate(reply) ?? this.heard?.report.tokens_per_s ?? null;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (document.hidden) setTimeout(this.flush, HIDDEN_FLUSH_MS);
    else requestAnimationFrame(this.flush);
  }
}

/** What the part behind said: words, or JSON of its own that has its words under `error`. */
function detailText(detail: unknown): string | null {
  if (detail === undefined || detail === null) return null;
  if (typeof detail === "string") return detail;
  if (typeof detail === "object" && "error" in detail && typeof detail.error === "string") {
    return detail.error;
  }
  return JSON.stringify(detail);
}

function rate(reply: ChatReply): number | null {
  const ms = reply.timings?.generate_ms;
  if (!ms || reply.eval_count === null || reply.eval_count === 0) return null;
  return reply.eval_count / (ms / 1000);
}
