import { describe, expect, it } from "vitest";
import { buildTree, visibleRows } from "./tree";
import { id, span } from "./testing";

const names = (rows: { span: { name: string }; depth: number }[]): string[] =>
  rows.map((row) => `${row.depth} ${row.span.name}`);
const none = new Set<string>();

describe("a tree of spans", () => {
  it("is ordered by start below each parent, whatever order the spans came in", () => {
    const tree = buildTree([
      span(3, 1, { start_ns: 60 }),
      span(4, 2, { start_ns: 20 }),
      span(2, 1, { start_ns: 10 }),
      span(1, null),
    ]);
    expect(names(visibleRows(tree.roots, none))).toEqual([
      "0 span 1",
      "1 span 2",
      "2 span 4",
      "1 span 3",
    ]);
    expect(tree.roots[0]?.descendants).toBe(3);
  });

  it("takes the time of its children from a span once, even where they overlap or leave it", () => {
    const tree = buildTree([
      span(1, null, { start_ns: 1000, duration_ns: 100 }),
      span(2, 1, { start_ns: 1010, duration_ns: 30 }),
      span(3, 1, { start_ns: 1020, duration_ns: 30 }),
      span(4, 1, { start_ns: 1090, duration_ns: 500 }),
    ]);
    expect(tree.byId.get(id(1))?.selfNs).toBe(50);
    expect(tree.byId.get(id(1))?.own).toEqual([
      { fromNs: 0, toNs: 10 },
      { fromNs: 50, toNs: 90 },
    ]);
    expect(tree.startNs).toBe(1000);
    expect(tree.durationNs).toBe(590);
  });

  it("marks a span whose parent is missing and draws it as a root", () => {
    const tree = buildTree([span(2, 1), span(3, 2)]);
    expect(names(visibleRows(tree.roots, none))).toEqual(["0 span 2", "1 span 3"]);
    expect(tree.roots[0]?.orphan).toBe(true);
  });

  it("takes the root in when it arrives late", () => {
    const early = [span(2, 1, { start_ns: 50 })];
    const tree = buildTree([...early, span(1, null, { duration_ns: 200 })]);
    expect(tree.roots.map((root) => root.span.name)).toEqual(["span 1"]);
    expect(tree.byId.get(id(2))?.orphan).toBe(false);
  });

  it("marks a child that another clock puts outside its parent", () => {
    const tree = buildTree([
      span(1, null, { start_ns: 5e9, duration_ns: 1e9 }),
      span(2, 1, { start_ns: 5e9 - 1e6, duration_ns: 1e9 }),
      span(3, 1, { start_ns: 5e9 - 5e6, duration_ns: 1e9 }),
    ]);
    expect(tree.byId.get(id(2))?.outside).toBe(false);
    expect(tree.byId.get(id(3))?.outside).toBe(true);
    expect(tree.startNs).toBe(5e9 - 5e6);
  });

  it("puts a span where its machine's clock would have it if it were right", () => {
    const spans = [
      span(1, null, { start_ns: 1e9, duration_ns: 4e9 }),
      span(2, 1, { start_ns: 31e9 }),
    ];
    const shifts = [{ span_id: id(2), shift_ns: -29e9 }];
    const tree = buildTree(spans, shifts);
    const child = tree.byId.get(id(2));
    expect(child).toMatchObject({ startNs: 1e9, clockShiftNs: -29e9, outside: false });
    expect(tree).toMatchObject({ startNs: 1e9, durationNs: 4e9 });
  });

  it("shows every span of a ring of parents once", () => {
    const tree = buildTree([span(1, 2), span(2, 1), span(3, 3), span(4, 1)]);
    const rows = visibleRows(tree.roots, none);
    expect(rows.map((row) => row.span.name).sort()).toEqual([
      "span 1",
      "span 2",
      "span 3",
      "span 4",
    ]);
  });

  it("shows a span that came twice once, as it came last", () => {
    const tree = buildTree([span(1, null), span(1, null, { name: "again" })]);
    expect(names(visibleRows(tree.roots, none))).toEqual(["0 again"]);
  });

  it("leaves out what lies below a collapsed span", () => {
    const tree = buildTree([span(1, null), span(2, 1), span(3, 2), span(4, 1, { start_ns: 5 })]);
    expect(names(visibleRows(tree.roots, new Set([id(2)])))).toEqual([
      "0 span 1",
      "1 span 2",
      "1 span 4",
    ]);
  });

  it("takes a chain of 20,000 spans without running out of stack", () => {
    const spans = Array.from({ length: 20_000 }, (_, i) => span(i + 1, i === 0 ? null : i));
    const tree = buildTree(spans);
    expect(visibleRows(tree.roots, none)).toHaveLength(20_000);
    expect(tree.roots[0]?.descendants).toBe(19_999);
  });

  it("of nothing is empty", () => {
    expect(buildTree([])).toMatchObject({ roots: [], startNs: 0, durationNs: 0 });
  });
});
