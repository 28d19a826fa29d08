// The hours of a week at which a model is kept, in words and as a form has them.

import type { KeptHours } from "../../api/types";
import type { runtimes as Texts } from "../../i18n/en/runtimes";

/** 1 for Monday to 7 for Sunday. */
export const DAYS = [1, 2, 3, 4, 5, 6, 7] as const;
const WORKDAYS: readonly number[] = [1, 2, 3, 4, 5];
const MIDNIGHT = "00:00";
/** Fewer days one after the other are named one by one. */
const LEAST_RANGE = 3;

type Words = typeof Texts.hours;

export const browserZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** What the form begins with. */
export function formOf(hours: KeptHours | null): Required<KeptHours> {
  if (hours === null) {
    return { from: "08:00", to: "18:00", days: [...WORKDAYS], time_zone: browserZone() };
  }
  // Those of another place stay its own: a change of the days must not move them.
  return { ...hours, days: knownDays(hours.days) };
}

/** All days where none is named. */
function knownDays(days: readonly number[] | undefined): number[] {
  return DAYS.filter((day) => !days || days.length === 0 || days.includes(day));
}

/** Days that follow on each other, each with its first and last. */
function runs(days: readonly number[]): [first: number, last: number][] {
  const found: [number, number][] = [];
  for (const day of days) {
    const open = found.at(-1);
    if (open?.[1] === day - 1) open[1] = day;
    else found.push([day, day]);
  }
  return found;
}

/** «Mon–Fri», «Sat, Sun». */
export function dayWords(days: readonly number[] | undefined, words: Words): string {
  const all = knownDays(days);
  if (all.length === DAYS.length) return words.everyDay;
  const label = (day: number): string => words.dayLabels[day - 1] ?? "";
  return runs(all)
    .flatMap(([first, last]) =>
      last - first + 1 >= LEAST_RANGE
        ? [words.dayRange(label(first), label(last))]
        : all.filter((day) => day >= first && day <= last).map(label),
    )
    .join(words.dayAnd);
}

function timeWords({ from, to }: KeptHours, words: Words): string {
  if (from === MIDNIGHT && to === MIDNIGHT) return words.allDay;
  const end = words.time(to);
  return words.times(words.time(from), to <= from ? words.nextDay(end) : end);
}

/** «Mon–Fri 08:00–18:30», with the place whose clock it is where that is not the reader's. */
export function hoursWords(
  hours: KeptHours | null | undefined,
  words: Words,
  zone: string = browserZone(),
): string {
  if (!hours) return words.always;
  const told = `${dayWords(hours.days, words)} ${timeWords(hours, words)}`;
  return hours.time_zone === zone ? told : words.elsewhere(told, hours.time_zone);
}
