/**
 * Numbers with their units, in both languages. Unknown is a dash, never 0. Pure functions of the
 * language, so that pages re-draw when it changes.
 */
import type { Language } from "../i18n/language.svelte";

export const UNKNOWN = "–";

type Maybe = number | null | undefined;

const known = (value: Maybe): value is number =>
  value !== null && value !== undefined && Number.isFinite(value);

const formats = new Map<string, Intl.NumberFormat>();

function fixed(value: number, digits: number, language: Language): string {
  const key = `${language}${digits}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(language === "ja" ? "ja-JP" : "en-GB", {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
    formats.set(key, format);
  }
  return format.format(value);
}

export function count(value: Maybe, language: Language): string {
  return known(value) ? fixed(value, 0, language) : UNKNOWN;
}

/** Where room is short: all digits up to 9,999, then three of them: 12.3K, 1.23M, 12.3万. */
export function shortCount(value: Maybe, language: Language): string {
  if (!known(value)) return UNKNOWN;
  if (Math.abs(value) < 9999.5) return fixed(value, 0, language);
  const key = `${language}short`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(language === "ja" ? "ja-JP" : "en-US", {
      notation: "compact",
      maximumSignificantDigits: 3,
    });
    formats.set(key, format);
  }
  return format.format(value);
}

/** 0 to 1 as per cent. */
export function percent(share: Maybe, language: Language): string {
  if (!known(share)) return UNKNOWN;
  const digits = share > 0 && share < 0.01 ? 1 : 0;
  return `${fixed(share * 100, digits, language)} %`;
}

const UNITS = {
  en: { us: "µs", ms: "ms", s: "s", min: "min", h: "h" },
  ja: { us: "µs", ms: "ミリ秒", s: "秒", min: "分", h: "時間" },
};

/** A duration with about three figures: 840 µs, 12.4 ms, 1.24 s, 29.6 s, 1 min 27 s, 2 h 05 min. */
export function duration(ms: Maybe, language: Language): string {
  if (!known(ms)) return UNKNOWN;
  const unit = UNITS[language];
  const part = (value: number, digits: number, name: string) =>
    `${fixed(value, digits, language)} ${name}`;
  if (ms < 0) return `−${duration(-ms, language)}`;
  if (ms === 0) return part(0, 0, unit.ms);
  if (ms < 0.9995) return part(ms * 1000, 0, unit.us);
  if (ms < 9.995) return part(ms, 2, unit.ms);
  if (ms < 99.95) return part(ms, 1, unit.ms);
  if (ms < 999.5) return part(ms, 0, unit.ms);
  const seconds = ms / 1000;
  if (seconds < 9.995) return part(seconds, 2, unit.s);
  if (seconds < 59.95) return part(seconds, 1, unit.s);
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} ${unit.min} ${two(whole % 60)} ${unit.s}`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} ${unit.h} ${two(minutes % 60)} ${unit.min}`;
}

/** A limit that somebody set: 30 s, not 30.0 s. */
export function durationLimit(ms: Maybe, language: Language): string {
  return duration(ms, language).replace(/\.0+(?= )/u, "");
}

/** On an axis, where marks are round: 5 s, 1 min, 2 h. */
export function durationMark(ns: Maybe, language: Language): string {
  return durationLimit(known(ns) ? ns / 1e6 : null, language)
    .replace(/(\.\d*?)0+(?= )/u, "$1")
    .replace(/ 00 \S+$/u, "");
}

export function durationNs(ns: Maybe, language: Language): string {
  return duration(known(ns) ? ns / 1e6 : null, language);
}

/** A running clock: always tenths of seconds, so that it does not jump about while it ticks. */
export function clock(ms: number, language: Language): string {
  const unit = UNITS[language];
  const tenths = Math.max(0, Math.floor(ms / 100));
  if (tenths < 600) return `${fixed(tenths / 10, 1, language)} ${unit.s}`;
  const seconds = Math.floor(tenths / 10);
  const rest = String(seconds % 60).padStart(2, "0");
  return `${Math.floor(seconds / 60)} ${unit.min} ${rest} ${unit.s}`;
}

/** Bytes in binary units, as memory is counted. */
export function bytes(value: Maybe, language: Language): string {
  if (!known(value)) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = Math.abs(value);
  let unit = 0;
  while (size >= 1023.5 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  const digits = unit === 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return `${value < 0 ? "−" : ""}${fixed(size, digits, language)} ${units[unit]}`;
}

export function bytesPerSecond(value: Maybe, language: Language): string {
  return known(value) ? `${bytes(value, language)}/${UNITS[language].s}` : UNKNOWN;
}

export function cores(value: Maybe, language: Language): string {
  if (!known(value)) return UNKNOWN;
  const name = language === "ja" ? "コア" : value === 1 ? "core" : "cores";
  return `${fixed(value, value < 9.995 ? 2 : 1, language)} ${name}`;
}

export function tokens(value: Maybe, language: Language): string {
  if (!known(value)) return UNKNOWN;
  const name = language === "ja" ? "トークン" : value === 1 ? "token" : "tokens";
  return `${fixed(value, 0, language)} ${name}`;
}

export function tokensPerSecond(value: Maybe, language: Language): string {
  if (!known(value)) return UNKNOWN;
  const number = fixed(value, value < 99.95 ? 1 : 0, language);
  return language === "ja" ? `${number} トークン/秒` : `${number} tokens/s`;
}
