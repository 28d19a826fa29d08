// The tree of a trace's spans. It never fails: telemetry arrives late, twice, without its parent
// or from a machine with another clock, and each of these is drawn and marked instead of hidden.

import type { ClockShift, Span } from "../../api/types";

/** A child may leave its parent by so much before it is marked: clocks of two processes differ. */
const CLOCK_TOLERANCE_NS = 2e6;

export interface SpanNode {
  span: Span;
  depth: number;
  children: SpanNode[];
  /** Spans below this one. */
  descendants: number;
  /** From the trace's start; a number of nanoseconds since 1970 would lose its last digits. */
  startNs: number;
  durationNs: number;
  /** By how much its machine's clock was set, so that it lies where it was. */
  clockShiftNs: number;
  /** Time in which none of its children ran. */
  selfNs: number;
  /** When that was, from the span's own start. */
  own: { fromNs: number; toNs: number }[];
  /** Has a parent that isn't in the trace (yet). */
  orphan: boolean;
  /** Begins before or ends after its parent. */
  outside: boolean;
}

export interface TraceTree {
  roots: SpanNode[];
  byId: Map<string, SpanNode>;
  /** Start of the earliest span, UTC nanoseconds. */
  startNs: number;
  /** From the start of the earliest to the end of the latest span. */
  durationNs: number;
}

export function buildTree(
  spans: readonly Span[],
  clockShifts: readonly ClockShift[] = [],
): TraceTree {
  const shifts = new Map(clockShifts.map(({ span_id, shift_ns }) => [span_id, shift_ns]));
  const shiftOf = (span: Span) => shifts.get(span.span_id) ?? 0;
  const begins = (least: number, span: Span) => Math.min(least, span.start_ns + shiftOf(span));
  const startNs = spans.reduce(begins, Infinity);
  const byId = new Map<string, SpanNode>();
  // The same span may come twice (a retry of its sender); the later one replaces the earlier.
  for (const span of spans) byId.set(span.span_id, newNode(span, startNs, shiftOf(span)));

  const roots: SpanNode[] = [];
  for (const node of byId.values()) {
    const parent = node.span.parent_id === null ? undefined : byId.get(node.span.parent_id);
    if (parent && parent !== node) {
      parent.children.push(node);
    } else {
      node.orphan = node.span.parent_id !== null;
      roots.push(node);
    }
  }
  const reached = new Set<SpanNode>();
  for (const root of roots) settle(root, reached);
  // What no root leads to sits in a ring of parents; cut the ring where it begins.
  const ringed = [...byId.values()].filter((node) => !reached.has(node)).sort(byStart);
  for (const node of ringed) {
    if (reached.has(node)) continue;
    for (const other of ringed) other.children = other.children.filter((child) => child !== node);
    node.orphan = true;
    roots.push(node);
    settle(node, reached);
  }
  roots.sort(byStart);
  const ends = [...byId.values()].reduce((end, n) => Math.max(end, n.startNs + n.durationNs), 0);
  return { roots, byId, startNs: byId.size === 0 ? 0 : startNs, durationNs: ends };
}

function newNode(span: Span, traceStartNs: number, clockShiftNs: number): SpanNode {
  return {
    span,
    depth: 0,
    children: [],
    descendants: 0,
    startNs: span.start_ns + clockShiftNs - traceStartNs,
    durationNs: span.duration_ns,
    clockShiftNs,
    selfNs: span.duration_ns,
    own: [],
    orphan: false,
    outside: false,
  };
}

function byStart(a: SpanNode, b: SpanNode): number {
  return a.startNs - b.startNs || b.durationNs - a.durationNs;
}

/** Depths, order, self times and marks below `root`. A loop, since a tree may be 10,000 deep. */
function settle(root: SpanNode, reached: Set<SpanNode>): void {
  const order: SpanNode[] = [];
  const waiting = [root];
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    if (reached.has(node)) continue;
    reached.add(node);
    order.push(node);
    node.children.sort(byStart);
    for (const child of node.children) {
      child.depth = node.depth + 1;
      child.outside = leaves(child, node);
      waiting.push(child);
    }
  }
  for (const node of order.reverse()) {
    node.descendants = node.children.reduce((sum, child) => sum + 1 + child.descendants, 0);
    node.own = ownTimes(node);
    node.selfNs = node.own.reduce((sum, time) => sum + time.toNs - time.fromNs, 0);
  }
}

function leaves(child: SpanNode, parent: SpanNode): boolean {
  const before = parent.startNs - child.startNs;
  const after = child.startNs + child.durationNs - (parent.startNs + parent.durationNs);
  return Math.max(before, after) > CLOCK_TOLERANCE_NS;
}

/** A span's time less the union of its children's, which may overlap each other or leave it. */
function ownTimes(node: SpanNode): SpanNode["own"] {
  const own: SpanNode["own"] = [];
  let at = 0;
  for (const child of node.children) {
    const from = child.startNs - node.startNs;
    if (from >= node.durationNs) break;
    if (from > at) own.push({ fromNs: at, toNs: from });
    at = Math.max(at, from + child.durationNs);
  }
  if (at < node.durationNs) own.push({ fromNs: at, toNs: node.durationNs });
  return own;
}

/** The rows to draw, in order; the children of a collapsed span are left out. */
export function visibleRows(roots: SpanNode[], collapsed: ReadonlySet<string>): SpanNode[] {
  const rows: SpanNode[] = [];
  const waiting = [...roots].reverse();
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    rows.push(node);
    if (collapsed.has(node.span.span_id)) continue;
    for (let i = node.children.length - 1; i >= 0; i -= 1) {
      const child = node.children[i];
      if (child) waiting.push(child);
    }
  }
  return rows;
}
