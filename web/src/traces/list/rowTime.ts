// The time of a row. Rows are drawn by the dozen in every frame of a scroll, so the formatter is
// made once; the whole date and its zone are on the trace's page.

import { daysAgo } from "../../format/time";

const PARTS: Intl.DateTimeFormatOptions = {
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
};

/** Makes a function that says 10:24:03 for today and 11-24 10:24:03 for other days. */
export function rowTimes(timeZone?: string): (ns: number, nowMs: number) => string {
  const format = new Intl.DateTimeFormat("en-GB", { ...PARTS, ...(timeZone ? { timeZone } : {}) });
  return (ns, nowMs) => {
    const date = new Date(ns / 1e6);
    if (Number.isNaN(date.getTime())) return "–";
    const parts = new Map(format.formatToParts(date).map((part) => [part.type, part.value]));
    const time = `${parts.get("hour")}:${parts.get("minute")}:${parts.get("second")}`;
    const today = daysAgo(date.getTime(), nowMs) === 0;
    return today ? time : `${parts.get("month")}-${parts.get("day")} ${time}`;
  };
}

export const rowTime = rowTimes();
