// A stay in memory in the page's language.

import { language } from "../i18n/language.svelte";
import { machineText } from "../i18n/machine";
import { runtimesText } from "../i18n/runtimes";
import type { Bar, StayLane } from "./model/stays";
import { laneLabel, stayWords, type StayWords } from "./model/stayWords";

export const laneName = (lane: StayLane): string => laneLabel(lane, machineText().stays);

/** `isNow`: whether the time that is looked at ends now. */
export function tellStay(bar: Bar, isNow: boolean): StayWords {
  return stayWords(bar, {
    words: machineText().stays,
    onGpu: runtimesText().onGpu,
    language: language(),
    isNow,
    nowMs: Date.now(),
  });
}

/** All of it in a row, for those who cannot see the drawing. */
export function stayRow(bar: Bar, isNow: boolean): string {
  const { times, facts, why } = tellStay(bar, isNow);
  return [times, facts, why].filter((part) => part !== "").join(", ");
}
