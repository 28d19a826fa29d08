import { describe, expect, it } from "vitest";
import { formatTerms, hasTerm, parseTerms, toggleTerm } from "./filter";

describe("the filter text", () => {
  it("is cut into words, keys, quotes and negations", () => {
    expect(parseTerms('slow model:gemma3:270m -status:error name:"POST /chat"')).toEqual([
      { negated: false, key: "", value: "slow" },
      { negated: false, key: "model", value: "gemma3:270m" },
      { negated: true, key: "status", value: "error" },
      { negated: false, key: "name", value: "POST /chat" },
    ]);
  });

  it("survives being written again", () => {
    for (const q of ["東京 duration:>5s", 'name:"a \\"b\\" c"', "-service:browser", ""]) {
      expect(parseTerms(formatTerms(parseTerms(q)))).toEqual(parseTerms(q));
    }
  });

  it("ends on unfinished input", () => {
    expect(parseTerms('status:error "open').length).toBeGreaterThan(0);
    expect(parseTerms("- model:").length).toBeGreaterThan(0);
  });
});

describe("a facet", () => {
  it("switches its term on and off and leaves the rest", () => {
    const on = toggleTerm("slow -model:x", "model", "gemma3:270m");
    expect(hasTerm(on, "model", "gemma3:270m")).toBe(true);
    expect(toggleTerm(on, "model", "gemma3:270m")).toBe("slow -model:x");
  });

  it("replaces the other value of its key", () => {
    expect(toggleTerm("status:ok", "status", "error")).toBe("status:error");
  });
});
