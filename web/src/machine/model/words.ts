// Figures of the machine in words, as short as their unit allows.

import { bytes, bytesPerSecond, count, percent, UNKNOWN } from "../../format/format";
import type { Language } from "../../i18n/language.svelte";
import type { Unit } from "./curves";

/** Cores are named in the title of their chart, so that the figure stands alone. */
export function coresFigure(value: number | null, language: Language): string {
  if (value === null) return UNKNOWN;
  return value < 9.995 ? value.toFixed(2) : count(value, language);
}

export function watts(value: number | null, language: Language): string {
  if (value === null) return UNKNOWN;
  return `${value < 9.95 ? value.toFixed(1) : count(value, language)} W`;
}

/** Sensors are not good to parts of a degree. */
export function celsius(value: number | null, language: Language): string {
  return value === null ? UNKNOWN : `${count(value, language)} °C`;
}

export function figure(unit: Unit, value: number | null, language: Language): string {
  switch (unit) {
    case "cores":
      return coresFigure(value, language);
    case "share":
      return percent(value, language);
    case "bytes":
      return bytes(value, language);
    case "rate":
      return bytesPerSecond(value, language);
    case "watts":
      return watts(value, language);
    case "celsius":
      return celsius(value, language);
  }
}

/** On an axis, where values are round: 8 GiB, not 8.00 GiB. */
export function mark(unit: Unit, value: number, language: Language): string {
  if (unit === "cores") return String(value);
  return figure(unit, value, language)
    .replace(/(\.\d*?)0+(?= )/u, "$1")
    .replace(/\.(?= )/u, "");
}
