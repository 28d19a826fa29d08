// What another setting would change, figure by figure. Less is better in all of them.

import type { Fared } from "../../api/types";
import type { Question } from "./question";

export const FIGURES = [
  "firstP50",
  "firstP95",
  "totalP50",
  "totalP95",
  "loads",
  "waited",
  "busy",
] as const;
export type FigureName = (typeof FIGURES)[number];
export type Unit = "time" | "calls" | "share";

export const UNITS: Record<FigureName, Unit> = {
  firstP50: "time",
  firstP95: "time",
  totalP50: "time",
  totalP95: "time",
  loads: "calls",
  waited: "calls",
  busy: "share",
};

export function figureOf(fared: Fared, name: FigureName): number {
  switch (name) {
    case "firstP50":
      return fared.first_ns.p50;
    case "firstP95":
      return fared.first_ns.p95;
    case "totalP50":
      return fared.total_ns.p50;
    case "totalP95":
      return fared.total_ns.p95;
    default:
      return fared[name];
  }
}

export interface Change {
  verdict: "better" | "worse" | "same";
  /** How much less or more: of times the part of what was, otherwise the difference; never below 0. */
  by: number;
}

/** Smaller ones are the simulation's, not the setting's. */
const LEAST: Record<Unit, number> = { time: 0.01, calls: 1, share: 0.005 };

export function change(unit: Unit, before: number, after: number): Change {
  const difference = after - before;
  const by = Math.abs(unit === "time" && before > 0 ? difference / before : difference);
  if (by < LEAST[unit]) return { verdict: "same", by };
  return { verdict: difference < 0 ? "better" : "worse", by };
}

type Setting = Pick<Question, "keep" | "slots" | "model" | "threads">;

export const AS_IT_WAS: Setting = { keep: null, slots: null, model: null, threads: null };

export const isChanged = ({ keep, slots, model, threads }: Setting): boolean =>
  [keep, slots, model, threads].some((value) => value !== null);
