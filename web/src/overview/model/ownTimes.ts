// The fields for times of one's own speak the reader's clock, without a zone.

import type { Stretch } from "../../traces/route";

const two = (value: number): string => String(value).padStart(2, "0");

/** As a `datetime-local` field takes it: 2026-11-25T10:24. */
export function fieldValue(ms: number): string {
  const date = new Date(ms);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** Null where a field is empty, or the end is not after the start. */
export function ownStretch(from: string, to: string): Stretch | null {
  const [fromMs, toMs] = [new Date(from).getTime(), new Date(to).getTime()];
  return fromMs < toMs ? { fromMs, toMs } : null;
}
