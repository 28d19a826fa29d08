import { describe, expect, it } from "vitest";
import { pair, rows, tally } from "./compare";
import { cell, model } from "./testing";

describe("the two models", () => {
  const [a, b, c] = [model("a"), model("b"), model("c")];
  const of = (one: string | null, other: string | null) => {
    const found = pair([a, b, c], { one, other });
    return found && [found.one.model, found.other.model];
  };

  it("are the named ones, or those with most calls", () => {
    expect(of(null, null)).toEqual(["a", "b"]);
    expect(of("c", null)).toEqual(["c", "a"]);
    expect(of("a", null)).toEqual(["a", "b"]);
    expect(of(null, "a")).toEqual(["b", "a"]);
    expect(of("b", "c")).toEqual(["b", "c"]);
  });

  it("are two, whatever was named", () => {
    expect(of("b", "b")).toEqual(["b", "a"]);
    expect(of("gone", "gone")).toEqual(["a", "b"]);
    expect(pair([a], { one: null, other: null })).toBeNull();
    expect(pair([], { one: null, other: null })).toBeNull();
  });
});

describe("the kinds of prompts", () => {
  const one = model("one", {
    cells: [cell(512, "most", 9, 20, 50), cell(0, "none", 9, 10, 40), cell(128, "none", 4, 10, 40)],
  });
  const other = model("other", {
    cells: [
      cell(0, "none", 9, 20, 41),
      cell(128, "none", 90, 20, 80),
      cell(512, "most", 5, 20, null),
      cell(512, "part", 5, 20, 9),
    ],
  });
  const all = rows(one, other);

  it("are in order, and have what each model has", () => {
    expect(all.map(({ from, cache }) => [from, cache])).toEqual([
      [0, "none"],
      [128, "none"],
      [512, "part"],
      [512, "most"],
    ]);
    expect(all[2]?.one).toBeNull();
    expect(all[2]?.other?.calls).toBe(5);
  });

  it("say who is ahead only with enough calls of both", () => {
    expect(all.map(({ isEnough }) => isEnough)).toEqual([true, false, false, true]);
    expect(all[0]?.sooner).toEqual({ side: "one", by: 0.5 });
    expect(all[1]).toMatchObject({ sooner: null, faster: null });
  });

  it("say of nobody that he is ahead by next to nothing, or where it is not known", () => {
    expect(all[0]?.faster).toBeNull();
    expect(all[3]).toMatchObject({ sooner: null, faster: null });
  });

  it("tell who writes faster by how much faster that is", () => {
    const slow = model("s", { cells: [cell(0, "none", 9, 10, 40)] });
    const fast = model("f", { cells: [cell(0, "none", 9, 10, 60)] });
    expect(rows(slow, fast)[0]?.faster).toEqual({ side: "other", by: 0.5 });
  });

  it("are counted", () => {
    expect(tally(all)).toEqual({
      of: 2,
      sooner: { one: 1, other: 0 },
      faster: { one: 0, other: 0 },
    });
  });
});
