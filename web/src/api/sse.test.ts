import { describe, expect, it } from "vitest";
import { EventParser, EventTooLarge, MAX_EVENT_CHARS, readEvents } from "./sse";

const all = (...pieces: string[]) => {
  const parser = new EventParser();
  return pieces.flatMap((piece) => parser.push(piece));
};

describe("EventParser", () => {
  it("gives the same events however the text is cut", () => {
    const text = 'event: token\r\ndata: {"text":"京"}\r\n\r\n: ping\n\ndata: a\ndata: b\n\n';
    const whole = all(text);
    expect(whole).toEqual([
      { event: "token", data: '{"text":"京"}' },
      { event: "message", data: "a\nb" },
    ]);
    expect(all(...text)).toEqual(whole);
    for (let cut = 1; cut < text.length; cut++) {
      expect(all(text.slice(0, cut), text.slice(cut))).toEqual(whole);
    }
  });

  it("does not deliver an event that was cut off", () => {
    expect(all("event: done\ndata: {}")).toEqual([]);
    expect(all("event: done\ndata: {}\n")).toEqual([]);
  });

  it("removes one leading space only, and knows fields without a value", () => {
    expect(all("data:  x\ndata\n\n")).toEqual([{ event: "message", data: " x\n" }]);
  });

  it("skips a byte order mark and an event without data", () => {
    expect(all("\uFEFFdata: x\n\nevent: empty\n\n")).toEqual([{ event: "message", data: "x" }]);
  });

  it("refuses an event without end", () => {
    const parser = new EventParser();
    const piece = "x".repeat(MAX_EVENT_CHARS / 4);
    expect(() => {
      for (let i = 0; i < 5; i++) parser.push(`data: ${piece}\n`);
    }).toThrow(EventTooLarge);
  });
});

describe("readEvents", () => {
  it("decodes characters that are cut in the middle of their bytes", async () => {
    const bytes = new TextEncoder().encode("data: 読み込み\n\n");
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
        controller.close();
      },
    });
    const events = [];
    for await (const event of readEvents(body)) events.push(event);
    expect(events).toEqual([{ event: "message", data: "読み込み" }]);
  });

  it("cancels the body when the consumer leaves", async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode("data: x\n\n")),
      cancel: () => void (cancelled = true),
    });
    for await (const event of readEvents(body)) {
      expect(event.data).toBe("x");
      break;
    }
    expect(cancelled).toBe(true);
  });
});
