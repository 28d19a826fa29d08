// Which span of a trace is the call to the model. Gateway and proxy may repeat its timings on their
// own spans, so the deepest one that has them is it.

import { hasPhases, phaseNs, type Phase } from "./phases";
import type { SpanNode, TraceTree } from "./tree";

export function isModelCall(node: SpanNode): boolean {
  return node.span.llm_kind === "llm";
}

/** The call that explains the trace: of several the longest; null where no model was called. */
export function modelCall(tree: TraceTree): SpanNode | null {
  const nodes = [...tree.byId.values()];
  const calls = nodes.filter(isModelCall);
  const candidates =
    calls.length > 0 ? calls : nodes.filter((node) => hasPhases(node.span.timings));
  const inner = candidates.filter(
    (node) => !node.children.some((child) => candidates.includes(child)),
  );
  return inner.reduce<SpanNode | null>(
    (best, node) => (best && best.durationNs >= node.durationNs ? best : node),
    null,
  );
}

/** When a phase of a call ran, from the trace's start; null where it isn't known or did not happen. */
export function phaseExtent(call: SpanNode, phase: Phase): { fromNs: number; toNs: number } | null {
  const before: Record<Phase, Phase[]> = {
    queue: [],
    load: ["queue"],
    prompt: ["queue", "load"],
    generate: ["queue", "load", "prompt"],
  };
  const timings = call.span.timings;
  const length = phaseNs(timings, phase) ?? 0;
  if (length <= 0) return null;
  const earlier = before[phase].reduce((sum, other) => sum + (phaseNs(timings, other) ?? 0), 0);
  return { fromNs: call.startNs + earlier, toNs: call.startNs + earlier + length };
}
