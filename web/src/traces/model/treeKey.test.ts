import { describe, expect, it } from "vitest";
import { id, span } from "./testing";
import { buildTree, visibleRows } from "./tree";
import { treeKey } from "./treeKey";

const tree = buildTree([span(1, null), span(2, 1), span(3, 2), span(4, 1, { start_ns: 9 })]);
const key = (name: string, at: number, closed: number[] = []) => {
  const collapsed = new Set(closed.map(id));
  return treeKey(name, visibleRows(tree.roots, collapsed), id(at), collapsed);
};

describe("the keys of the tree", () => {
  it("walk up and down and stop at the ends", () => {
    expect(key("ArrowDown", 1)).toEqual({ select: id(2) });
    expect(key("ArrowUp", 1)).toEqual({ select: id(1) });
    expect(key("End", 1)).toEqual({ select: id(4) });
    expect(key("PageDown", 2)).toEqual({ select: id(4) });
  });

  it("fold and go to the parent with left, unfold and go in with right", () => {
    expect(key("ArrowLeft", 2)).toEqual({ toggle: id(2) });
    expect(key("ArrowLeft", 2, [2])).toEqual({ select: id(1) });
    expect(key("ArrowLeft", 3)).toEqual({ select: id(2) });
    expect(key("ArrowRight", 2, [2])).toEqual({ toggle: id(2) });
    expect(key("ArrowRight", 2)).toEqual({ select: id(3) });
    expect(key("ArrowRight", 3)).toBeNull();
  });

  it("begin at the top where the chosen span is folded away, and leave other keys alone", () => {
    expect(key("ArrowDown", 3, [2])).toEqual({ select: id(1) });
    expect(key("x", 1)).toBeNull();
    expect(key("Tab", 1)).toBeNull();
  });
});
