// The answer first: what a trace's time went to or why it failed, as facts. The sentence made of
// them is the language's business (i18n). The server's diagnosis goes before the page's own guess.

import { explainedPhase, isFailure, knownCause, type CauseName } from "./causes";
import { modelCall } from "./llm";
import { PHASES, stretches, type Part, type Phase } from "./phases";
import type { SpanNode, TraceTree } from "./tree";

export interface Share {
  part: Part;
  ns: number;
  /** 0 to 1 of the whole trace. */
  share: number;
}

export interface Why {
  cause: CauseName;
  failed: boolean;
  /** The phase that the cause explains, or in which the call failed, or that took most. */
  phase: Phase | null;
  /** Time of `phase`; null where it isn't known. */
  phaseNs: number | null;
  totalNs: number;
  shares: Share[];
  /** Of the span that failed first. */
  errorType: string | null;
  errorMessage: string | null;
  /** The span that shows it. */
  evidence: SpanNode | null;
}

/** Where nobody diagnosed a span, a phase is a cause from this share and this time on. */
const CAUSE_SHARE = 0.4;
const CAUSE_LEAST_NS = 300e6;
/** Reading fewer tokens than these isn't a long prompt, however slow it was. */
const LONG_PROMPT_TOKENS = 256;
/** So much outside the model's phases is the app's own time. */
const APP_SHARE = 0.6;

export function explain(tree: TraceTree): Why {
  const call = modelCall(tree);
  const totalNs = tree.durationNs;
  const shares = sharesOf(call, totalNs);
  const error = failedSpan(tree, call);
  const cause = error ? failureCause(tree, error) : (diagnosed(tree, call) ?? guess(shares, call));
  const longest = longestPhase(shares);
  const phase = error ? failedPhase(error, call) : (explainedPhase(cause) ?? longest);
  return {
    cause,
    failed: error !== null || isFailure(cause),
    phase,
    phaseNs: shares.find((share) => share.part === phase)?.ns ?? null,
    totalNs,
    shares,
    errorType: error?.span.error_type ?? null,
    errorMessage: error?.span.error_message ?? null,
    evidence: error ?? call,
  };
}

function sharesOf(call: SpanNode | null, totalNs: number): Share[] {
  if (!call || totalNs <= 0) return [];
  return stretches(call.span.timings, totalNs).map(({ part, durationNs }) => ({
    part,
    ns: durationNs,
    share: durationNs / totalNs,
  }));
}

/** The deepest failed span, if the failure reached a root or the call itself; a retry may hide one. */
function failedSpan(tree: TraceTree, call: SpanNode | null): SpanNode | null {
  const failed = [...tree.byId.values()].filter((node) => node.span.status === "error");
  const reached = failed.some(
    (node) => node === call || node.depth === 0 || node.span.kind === "server",
  );
  if (!reached) return null;
  const named = failed.filter((node) => node.span.error_type ?? node.span.error_message);
  return (named.length > 0 ? named : failed).reduce((deepest, node) =>
    node.depth > deepest.depth ? node : deepest,
  );
}

/** The server's diagnosis; null where it gave none or found nothing. */
function diagnosed(tree: TraceTree, call: SpanNode | null): CauseName | null {
  const own = knownCause(call?.span.cause);
  if (own && own !== "none") return own;
  for (const node of tree.byId.values()) {
    const cause = knownCause(node.span.cause);
    if (cause && cause !== "none") return cause;
  }
  return null;
}

function failureCause(tree: TraceTree, error: SpanNode): CauseName {
  const told = knownCause(error.span.cause) ?? diagnosed(tree, error);
  if (told && told !== "none") return told;
  return knownCause(error.span.error_type) ?? "unknown";
}

/** A phase that took long enough to be the cause, where nobody diagnosed the span. */
function guess(shares: Share[], call: SpanNode | null): CauseName {
  const held = (part: Part, leastShare: number): boolean =>
    shares.some(
      (share) => share.part === part && share.share >= leastShare && share.ns >= CAUSE_LEAST_NS,
    );
  if (call?.span.cause === "none") return waited(held, call);
  if (held("load", CAUSE_SHARE)) return "cold_start";
  const other = waited(held, call);
  if (other !== "none" || shares.length <= 1) return other;
  return held("other", APP_SHARE) ? "slow_app" : "none";
}

/** Loads are known to the server, which says `none` of all other waits too. */
function waited(
  held: (part: Part, leastShare: number) => boolean,
  call: SpanNode | null,
): CauseName {
  if (held("queue", CAUSE_SHARE)) return "queue";
  const read = (call?.span.input_tokens ?? 0) - (call?.span.cached_tokens ?? 0);
  return held("prompt", CAUSE_SHARE) && read >= LONG_PROMPT_TOKENS ? "long_prompt" : "none";
}

/** What took most of the time; null where that was none of the phases. */
function longestPhase(shares: Share[]): Phase | null {
  let longest: Share | null = null;
  for (const share of shares) {
    if (share.ns > (longest?.ns ?? 0)) longest = share;
  }
  return PHASES.find((phase) => phase === longest?.part) ?? null;
}

/** What the failed span says, else the last phase that had begun. */
function failedPhase(error: SpanNode, call: SpanNode | null): Phase | null {
  for (const node of [error, call]) {
    const told = node?.span.attributes["andon.error.phase"];
    const phase = PHASES.find((known) => known === told);
    if (phase) return phase;
  }
  const begun = sharesOf(call ?? error, Math.max(1, (call ?? error).durationNs));
  return PHASES.findLast((phase) => begun.some((share) => share.part === phase)) ?? null;
}
