/** Ids of the browser's own span, and the W3C header that makes the server's spans its children. */
export interface BrowserSpan {
  traceId: string;
  spanId: string;
}

function hex(bytes: number): string {
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  // An id of zeros only is not valid.
  if (values.every((value) => value === 0)) return hex(bytes);
  return Array.from(values, (value) => value.toString(16).padStart(2, "0")).join("");
}

export function newSpan(): BrowserSpan {
  return { traceId: hex(16), spanId: hex(8) };
}

export function newId(): string {
  return hex(16);
}

export function traceparent({ traceId, spanId }: BrowserSpan): string {
  return `00-${traceId}-${spanId}-01`;
}
