// Server-sent events that are only held while somebody looks: a browser opens few connections to
// one server at a time, and tabs in the background must not use them up.

export type StreamState = "open" | "lost" | "hidden";

export interface Listener {
  onEvent: (data: unknown) => void;
  onState?: (state: StreamState) => void;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 15_000;

/** Listens to one kind of event; reconnects by itself. Returns how to stop. */
export function listen(url: string, event: string, listener: Listener): () => void {
  let source: EventSource | null = null;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let wait = FIRST_RETRY_MS;

  const close = (): void => {
    clearTimeout(retry);
    source?.close();
    source = null;
  };
  const open = (): void => {
    close();
    const opened = new EventSource(url);
    source = opened;
    opened.onopen = () => {
      wait = FIRST_RETRY_MS;
      listener.onState?.("open");
    };
    opened.addEventListener(event, (message) => {
      const data = parsed((message as MessageEvent<string>).data);
      if (data !== null) listener.onEvent(data);
    });
    opened.onerror = () => {
      listener.onState?.("lost");
      // A refused connection is final for EventSource, so the page tries again itself.
      close();
      retry = setTimeout(open, wait);
      wait = Math.min(LONGEST_RETRY_MS, wait * 2);
    };
  };
  const follow = (): void => {
    if (document.visibilityState === "visible") {
      if (!source) open();
    } else {
      close();
      listener.onState?.("hidden");
    }
  };
  document.addEventListener("visibilitychange", follow);
  follow();
  return () => {
    document.removeEventListener("visibilitychange", follow);
    close();
  };
}
