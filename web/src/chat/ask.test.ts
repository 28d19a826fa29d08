import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiFailure } from "../api/client";
import { type AskEvent, ask } from "./ask";

const span = { traceId: "a".repeat(32), spanId: "b".repeat(16) };

function options(signal = new AbortController().signal) {
  return { path: "/chat", request: { message: "q" }, span, signal, timeoutMs: 1000 };
}

function stream(...pieces: string[]): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

async function collect(given = options()): Promise<{ events: AskEvent[]; failure: unknown }> {
  const events: AskEvent[] = [];
  try {
    for await (const one of ask(given)) events.push(one);
    return { events, failure: null };
  } catch (failure) {
    return { events, failure };
  }
}

const answerWith = (response: Response | Promise<Response>) =>
  vi.stubGlobal(
    "fetch",
    vi.fn(async () => response),
  );

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe("ask", () => {
  it("sends the question with its trace, and gives the events until done", async () => {
    answerWith(
      stream(event("token", { text: "hi" }), event("later", {}), event("done", { reply: "hi" })),
    );
    const { events, failure } = await collect();
    expect(failure).toBeNull();
    expect(events.map((one) => one.event)).toEqual(["token", "done"]);
    const [path, init] = vi.mocked(fetch).mock.calls[0] ?? [];
    expect(path).toBe("/chat");
    expect(init?.headers).toMatchObject({
      accept: "text/event-stream",
      traceparent: `00-${span.traceId}-${span.spanId}-01`,
    });
  });

  it("takes a whole JSON answer of a server that does not stream", async () => {
    answerWith(Response.json({ reply: "whole" }));
    const { events } = await collect();
    expect(events).toEqual([{ event: "done", data: { reply: "whole" } }]);
  });

  it.each([
    ["a stream without an end", stream(event("token", { text: "x" })), "stream_broken"],
    ["half a JSON line", stream("event: token\ndata: {nope\n\n"), "stream_broken"],
    ["the server's own error", stream(event("error", { error: "e", code: "timeout" })), "timeout"],
    [
      "an error before the stream",
      Response.json({ error: "e", code: "queue_full" }, { status: 503 }),
      "queue_full",
    ],
    ["an error page of something between", new Response("<h1>", { status: 413 }), "too_large"],
    ["a status nobody expects", new Response("?", { status: 418 }), "unexpected"],
  ])("names %s", async (_name, response, code) => {
    answerWith(response);
    const { failure } = await collect();
    expect(failure).toBeInstanceOf(ApiFailure);
    expect((failure as ApiFailure).code).toBe(code);
  });

  it("says when no server is there", async () => {
    answerWith(Promise.reject(new TypeError("failed to fetch")));
    const { failure } = await collect();
    expect((failure as ApiFailure).code).toBe("network");
  });

  it("gives up on a stream that has fallen silent", async () => {
    vi.useFakeTimers();
    vi.stubGlobal(
      "fetch",
      vi.fn(async (_path: string, init: RequestInit) => {
        const body = new ReadableStream<Uint8Array>({
          start(controller) {
            controller.enqueue(new TextEncoder().encode(event("token", { text: "x" })));
            init.signal?.addEventListener("abort", () =>
              controller.error(new DOMException("aborted", "AbortError")),
            );
          },
        });
        return new Response(body, { headers: { "content-type": "text/event-stream" } });
      }),
    );
    const pending = collect({ ...options(), silenceLimitMs: 500 } as ReturnType<typeof options>);
    await vi.advanceTimersByTimeAsync(600);
    const { events, failure } = await pending;
    expect(events).toHaveLength(1);
    expect((failure as ApiFailure).code).toBe("stream_broken");
  });

  it("hands on the reader's own stop as an abort, not as a failure", async () => {
    const controller = new AbortController();
    vi.stubGlobal(
      "fetch",
      vi.fn(
        (_path: string, init: RequestInit) =>
          new Promise((_resolve, reject) =>
            init.signal?.addEventListener("abort", () =>
              reject(new DOMException("aborted", "AbortError")),
            ),
          ),
      ),
    );
    const pending = collect(options(controller.signal));
    controller.abort();
    const { failure } = await pending;
    expect((failure as Error).name).toBe("AbortError");
  });
});
