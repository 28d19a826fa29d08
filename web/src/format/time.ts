/** Points in time, in the reader's zone, which is named: a time without a zone is a riddle. */
import type { Language } from "../i18n/language.svelte";

const NS_PER_MS = 1e6;

/** Japan has no other zone and ICU calls it «GMT+9» in most languages; people say JST. */
export function zoneName(date: Date, language: Language, timeZone?: string): string {
  const zone = timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone === "Asia/Tokyo") return "JST";
  const parts = new Intl.DateTimeFormat(language === "ja" ? "ja-JP" : "en-GB", {
    timeZone: zone,
    timeZoneName: "short",
  }).formatToParts(date);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? zone;
}

function fields(date: Date, timeZone?: string): Record<string, string> {
  const format = new Intl.DateTimeFormat("en-GB", {
    ...(timeZone ? { timeZone } : {}),
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
    hourCycle: "h23",
  });
  return Object.fromEntries(format.formatToParts(date).map((part) => [part.type, part.value]));
}

/** 2026-11-25 10:24:03.120 JST: the same in both languages, and it sorts. */
export function dateTime(ns: number, language: Language, timeZone?: string): string {
  const date = new Date(ns / NS_PER_MS);
  if (Number.isNaN(date.getTime())) return "–";
  const f = fields(date, timeZone);
  const day = `${f["year"]}-${f["month"]}-${f["day"]}`;
  const time = `${f["hour"]}:${f["minute"]}:${f["second"]}.${f["fractionalSecond"]}`;
  return `${day} ${time} ${zoneName(date, language, timeZone)}`;
}

/** 10:24:03: for lists that name day and zone elsewhere. */
export function timeOfDay(ns: number, timeZone?: string): string {
  const date = new Date(ns / NS_PER_MS);
  if (Number.isNaN(date.getTime())) return "–";
  const f = fields(date, timeZone);
  return `${f["hour"]}:${f["minute"]}:${f["second"]}`;
}

/** RFC 3339 in UTC, for machines and exports. */
export function rfc3339(ns: number): string {
  // A number of nanoseconds is off by some hundred of them, which would take a whole millisecond away.
  return new Date(ns / NS_PER_MS + 0.001).toISOString();
}

/** Whole days between two moments by the reader's calendar: 0 today, 1 yesterday. */
export function daysAgo(thenMs: number, nowMs: number): number {
  const midnight = (ms: number) => new Date(ms).setHours(0, 0, 0, 0);
  return Math.round((midnight(nowMs) - midnight(thenMs)) / 86_400_000);
}
