import { expect, it } from "vitest";
import { allFolded, NONE_FOLDED, openedAbove, toggled } from "./folding";
import { id, span } from "./testing";
import { buildTree } from "./tree";

const tree = buildTree([span(1, null), span(2, 1), span(3, 2), span(4, 1), span(5, 4)]);

it("a span is folded and unfolded without changing the set before", () => {
  const folded = toggled(NONE_FOLDED, id(2));
  expect([...folded]).toEqual([id(2)]);
  expect([...toggled(folded, id(2))]).toEqual([]);
  expect(NONE_FOLDED.size).toBe(0);
});

it("what lies above a span opens, the rest stays folded", () => {
  const folded = allFolded([...tree.byId.values()].filter((node) => node.children.length > 0));
  expect([...openedAbove(folded, tree, id(3))]).toEqual([id(4)]);
  expect(openedAbove(NONE_FOLDED, tree, id(3))).toBe(NONE_FOLDED);
  const ring = buildTree([span(1, 2), span(2, 1)]);
  expect(openedAbove(new Set([id(9)]), ring, id(1)).size).toBe(1);
});
