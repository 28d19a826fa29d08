/**
 * Server-sent events out of a `fetch` body (`EventSource` can neither POST nor set headers).
 * Follows the WHATWG format: lines end with LF, CR or CRLF, a blank line ends an event, an event
 * that was cut off before its blank line is not delivered.
 */
export interface ServerEvent {
  event: string;
  data: string;
}

/** An event larger than this is a broken stream, not an answer. */
export const MAX_EVENT_CHARS = 16 * 1024 * 1024;

export class EventTooLarge extends Error {
  constructor() {
    super(`server-sent event longer than ${MAX_EVENT_CHARS} characters`);
    this.name = "EventTooLarge";
  }
}

/** Takes text in pieces of any size and gives back the events that are whole. */
export class EventParser {
  #rest = "";
  #event = "";
  #data: string[] = [];
  #size = 0;
  #first = true;

  push(piece: string): ServerEvent[] {
    if (this.#first && piece.length > 0) {
      this.#first = false;
      if (piece.startsWith("\uFEFF")) piece = piece.slice(1);
    }
    const events: ServerEvent[] = [];
    const text = this.#rest + piece;
    let from = 0;
    for (;;) {
      const end = lineEnd(text, from);
      if (end === null) break;
      const event = this.#line(text.slice(from, end.at));
      if (event) events.push(event);
      from = end.next;
    }
    this.#rest = text.slice(from);
    if (this.#rest.length + this.#size > MAX_EVENT_CHARS) throw new EventTooLarge();
    return events;
  }

  #line(line: string): ServerEvent | null {
    if (line === "") return this.#dispatch();
    if (line.startsWith(":")) return null;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "event") this.#event = value;
    if (field === "data") {
      this.#data.push(value);
      this.#size += value.length;
    }
    return null;
  }

  #dispatch(): ServerEvent | null {
    const event = { event: this.#event || "message", data: this.#data.join("\n") };
    const empty = this.#data.length === 0;
    this.#event = "";
    this.#data = [];
    this.#size = 0;
    return empty ? null : event;
  }
}

/** Where the line that begins at `from` ends; null while its end has not come. */
function lineEnd(text: string, from: number): { at: number; next: number } | null {
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (char === "\n") return { at, next: at + 1 };
    if (char !== "\r") continue;
    // A CR at the very end may be the first half of CRLF: wait for the next piece.
    if (at + 1 === text.length) return null;
    return { at, next: text[at + 1] === "\n" ? at + 2 : at + 1 };
  }
  return null;
}

export async function* readEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<ServerEvent, void, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // The consumer may have left early: let the server know.
    await reader.cancel().catch(() => undefined);
  }
}
