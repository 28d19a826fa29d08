// JSON as the server wrote it. Times in nanoseconds are beyond what a JavaScript number holds
// exactly, so a span shown «as stored» must not go through one.

// Strings are matched to be skipped, and numbers as a whole, so that no digits of a fraction are
// taken for an integer.
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** An integer with more digits than a double keeps. */
const LARGE_INTEGER = /^-?\d{16,}$/;
/** Private-use character: no other string of the document begins with it. */
const MARK = "\uE000";

export function parseExact(text: string): unknown {
  const marked = text.replace(STRING_OR_NUMBER, (part) =>
    LARGE_INTEGER.test(part) ? `"${MARK}${part}"` : part,
  );
  return JSON.parse(marked);
}

/** Writes what `parseExact` read, with every digit. */
export function formatExact(value: unknown): string {
  const text = JSON.stringify(value, null, 2) ?? "";
  return text.replace(new RegExp(`"${MARK}(-?\\d{16,})"`, "g"), "$1");
}

/** One span out of a trace's answer, as it was stored; null when it isn't there. */
export function spanText(traceText: string, spanId: string): string | null {
  const trace = parseExact(traceText) as { spans?: { span_id?: string }[] };
  const span = trace.spans?.find((candidate) => candidate.span_id === spanId);
  return span ? formatExact(span) : null;
}
