/**
 * What the waiting line shows, computed from the server's reports and the browser's own clock.
 * Reports come every half second; between them the clock runs on by itself, so that «slow» and
 * «stuck» never look the same.
 */
import type { Phase, PhaseReport } from "../api/types";

export const PHASES: readonly Phase[] = ["queue", "load", "prompt", "generate"];

export interface HeardReport {
  report: PhaseReport;
  /** When it came, by the browser's monotonic clock. */
  heardAtMs: number;
}

/** When each phase began, in ms since the call began, as the server saw it. */
export type PhaseStarts = Partial<Record<Phase, number>>;

export interface Step {
  phase: Phase;
  state: "done" | "skipped" | "now" | "todo";
  /** Null where the phase has not been. */
  ms: number | null;
}

export interface WaitingView {
  /** Null until the first report. */
  phase: Phase | null;
  steps: Step[];
  /** How long this phase lasts already. */
  phaseMs: number;
  /** How long the whole call lasts already. */
  totalMs: number;
  /** 0 to 1 where known. */
  progress: number | null;
  etaMs: number | null;
  etaExact: boolean;
}

export function noteStart(starts: PhaseStarts, report: PhaseReport): PhaseStarts {
  const start = Math.max(0, report.elapsed_ms - report.phase_since_ms);
  const known = starts[report.phase];
  // The first report of a phase is nearest to its start; later ones only repeat it.
  return known === undefined ? { ...starts, [report.phase]: start } : starts;
}

export function waitingView(
  heard: HeardReport | null,
  starts: PhaseStarts,
  sentAtMs: number,
  nowMs: number,
): WaitingView {
  if (!heard) {
    return {
      phase: null,
      steps: PHASES.map((phase) => ({ phase, state: "todo", ms: null })),
      phaseMs: nowMs - sentAtMs,
      totalMs: nowMs - sentAtMs,
      progress: null,
      etaMs: null,
      etaExact: false,
    };
  }
  const { report, heardAtMs } = heard;
  const since = Math.max(0, nowMs - heardAtMs);
  return {
    phase: report.phase,
    steps: steps(report, starts, since),
    phaseMs: report.phase_since_ms + since,
    totalMs: Math.max(nowMs - sentAtMs, report.elapsed_ms + since),
    progress: progressOf(report),
    etaMs: report.eta_ms === null ? null : Math.max(0, report.eta_ms - since),
    etaExact: report.eta_exact,
  };
}

function steps(report: PhaseReport, starts: PhaseStarts, since: number): Step[] {
  const current = PHASES.indexOf(report.phase);
  return PHASES.map((phase, index): Step => {
    if (index > current) return { phase, state: "todo", ms: null };
    if (index === current) return { phase, state: "now", ms: report.phase_since_ms + since };
    const start = starts[phase];
    if (start === undefined) return { phase, state: "skipped", ms: null };
    const end = PHASES.slice(index + 1)
      .map((later) => starts[later])
      .find((value) => value !== undefined);
    return { phase, state: "done", ms: Math.max(0, (end ?? start) - start) };
  });
}

function progressOf(report: PhaseReport): number | null {
  if (report.phase === "load") return bounded(report.load_progress);
  if (report.phase !== "prompt") return null;
  const { prompt_done: done, prompt_total: total } = report;
  return done === null || !total ? null : bounded(done / total);
}

function bounded(share: number | null): number | null {
  return share === null || Number.isNaN(share) ? null : Math.min(1, Math.max(0, share));
}
