/**
 * Tells the server what the reader lived through: from the click to the last token on the screen.
 * It becomes the browser's span, the root of the trace. Sending must never disturb the page, so
 * failures are kept for the next try, a few of them, and then forgotten.
 */
import type { RumAction } from "../api/types";
import type { Call } from "./call.svelte";
import { newId } from "./trace-context";
import { PHASES } from "./waiting";

const ENDPOINT = "/api/v1/rum";
const MAX_WAITING = 20;
const SESSION_KEY = "andon.session";

const waiting: RumAction[] = [];

export const viewId = newId();

/** One browser session: until the tab is closed. */
export function sessionId(): string {
  try {
    const kept = sessionStorage.getItem(SESSION_KEY);
    if (kept) return kept;
    const made = newId();
    sessionStorage.setItem(SESSION_KEY, made);
    return made;
  } catch {
    return viewId;
  }
}

/** Wall clock with the monotonic clock's steadiness. */
export function wallClockMs(): number {
  return performance.timeOrigin + performance.now();
}

export async function sendAction(action: RumAction): Promise<void> {
  waiting.push(action);
  waiting.splice(0, waiting.length - MAX_WAITING);
  const events = waiting.splice(0);
  try {
    const response = await fetch(ENDPOINT, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ events }),
      keepalive: true,
    });
    // What the server refuses now it would refuse again; only its own trouble is worth a retry.
    if (response.status >= 500) waiting.unshift(...events);
  } catch {
    waiting.unshift(...events);
  }
}

/** For the moment the page goes away, when only a beacon still gets out. */
export function sendActionOnLeave(action: RumAction): void {
  const body = JSON.stringify({ events: [...waiting.splice(0), action] });
  navigator.sendBeacon(ENDPOINT, new Blob([body], { type: "application/json" }));
}

/** The browser's span. Holds no text of question or answer. */
export function spanAction(call: Call, durationMs: number, outcome?: "left"): RumAction {
  const { answer, span } = call;
  const phases = PHASES.filter((phase) => call.starts[phase] !== undefined);
  return {
    type: "action",
    name: "ask",
    // The header that was sent, even if the server named another trace: this is our own span.
    trace_id: span.traceId,
    span_id: span.spanId,
    start_ns: Math.round(answer.startedMs * 1e6),
    duration_ns: Math.round(durationMs * 1e6),
    session_id: sessionId(),
    view_id: viewId,
    url: location.origin + location.pathname,
    status: answer.state === "error" ? "error" : "ok",
    ...(answer.problem ? { error_type: answer.problem.code } : {}),
    attributes: {
      outcome: outcome ?? answer.state,
      phases: phases.join(" "),
      pieces: call.pieces,
      ...(call.firstPieceMs === null ? {} : { first_token_ms: call.firstPieceMs }),
    },
  };
}

/** Resolves once what was rendered is on the screen; in a hidden page at once. */
export function painted(): Promise<void> {
  return new Promise((resolve) => {
    // A hidden page paints nothing, and one that becomes hidden now would wait for ever.
    const giveUp = setTimeout(resolve, document.hidden ? 0 : 250);
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        clearTimeout(giveUp);
        resolve();
      }),
    );
  });
}
