/**
 * One question to the server: sends it, reads the stream, and gives back events. It always ends
 * in exactly one of: a `done` event, an `ApiFailure`, or the caller's own abort.
 */
import { ApiFailure, failureOf, networkFailure } from "../api/client";
import { readEvents } from "../api/sse";
import type { ChatEvents, ChatReply, ChatRequest } from "../api/types";
import { type BrowserSpan, traceparent } from "./trace-context";

export type AskEvent = {
  [Name in keyof Omit<ChatEvents, "error">]: { event: Name; data: ChatEvents[Name] };
}[keyof Omit<ChatEvents, "error">];

/** The server reports at least twice a second; a stream silent for this long is dead. */
export const SILENCE_LIMIT_MS = 20_000;
/** What the server may take beyond its own timeout until it answers at all. */
const ANSWER_GRACE_MS = 10_000;

export interface Ask {
  path: string;
  request: ChatRequest;
  span: BrowserSpan;
  signal: AbortSignal;
  timeoutMs: number;
  silenceLimitMs?: number;
}

/** Aborts when nothing was heard for too long; told apart from the reader's own abort. */
class Watchdog {
  readonly #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  expired = false;

  constructor(private readonly outer: AbortSignal) {
    outer.addEventListener("abort", this.#stop, { once: true });
    if (outer.aborted) this.#stop();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly #stop = (): void => {
    clearTimeout(this.#timer);
    this.#controller.abort();
  };

  within(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.expired = true;
      this.#controller.abort();
    }, ms);
  }

  release(): void {
    clearTimeout(this.#timer);
    this.outer.removeEventListener("abort", this.#stop);
  }
}

export async function* ask(options: Ask): AsyncGenerator<AskEvent, void, void> {
  const watchdog = new Watchdog(options.signal);
  try {
    watchdog.within(options.timeoutMs + ANSWER_GRACE_MS);
    const response = await fetch(options.path, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "text/event-stream",
        traceparent: traceparent(options.span),
      },
      body: JSON.stringify(options.request),
      signal: watchdog.signal,
    });
    if (!response.ok) throw await failureOf(response);
    yield* answerOf(response, () => watchdog.within(options.silenceLimitMs ?? SILENCE_LIMIT_MS));
  } catch (error) {
    if (watchdog.expired) throw new ApiFailure("stream_broken", "the server fell silent", 0);
    throw networkFailure(error);
  } finally {
    watchdog.release();
  }
}

async function* answerOf(response: Response, heard: () => void): AsyncGenerator<AskEvent> {
  const type = response.headers.get("content-type") ?? "";
  if (!type.startsWith("text/event-stream") || !response.body) {
    // A server that does not stream answers with the whole reply at once.
    yield { event: "done", data: (await response.json()) as ChatReply };
    return;
  }
  heard();
  try {
    for await (const { event, data } of readEvents(response.body)) {
      heard();
      if (event === "error") {
        const error = parsed<ChatEvents["error"]>(data);
        throw new ApiFailure(error.code, error.error, response.status, error);
      }
      if (!isKnown(event)) continue;
      yield { event, data: parsed(data) } as AskEvent;
      if (event === "done") return;
    }
  } catch (error) {
    // The connection broke in the middle of the answer, which is not «no server».
    if (error instanceof TypeError) throw new ApiFailure("stream_broken", error.message, 0);
    throw error;
  }
  throw new ApiFailure("stream_broken", "the stream ended without done or error", 0);
}

function isKnown(event: string): event is AskEvent["event"] {
  return ["start", "phase", "thinking", "token", "done"].includes(event);
}

function parsed<Data>(data: string): Data {
  try {
    return JSON.parse(data) as Data;
  } catch {
    throw new ApiFailure("stream_broken", "the stream held something that is not JSON", 0);
  }
}
