import { describe, expect, it } from "vitest";
import { enterMeaning, type KeyPress } from "./enter";

const press = (change: Partial<KeyPress>): KeyPress => ({
  key: "Enter",
  keyCode: 13,
  isComposing: false,
  shiftKey: false,
  ctrlKey: false,
  altKey: false,
  metaKey: false,
  ...change,
});

describe("enterMeaning", () => {
  it("sends with Enter, also with Control or Command", () => {
    expect(enterMeaning(press({}))).toBe("submit");
    expect(enterMeaning(press({ ctrlKey: true }))).toBe("submit");
    expect(enterMeaning(press({ metaKey: true }))).toBe("submit");
  });

  it("breaks the line with Shift+Enter", () => {
    expect(enterMeaning(press({ shiftKey: true }))).toBe("newline");
  });

  it("leaves Enter to the input method while it composes", () => {
    expect(enterMeaning(press({ isComposing: true, keyCode: 229 }))).toBe("composition");
    expect(enterMeaning(press({ isComposing: true }))).toBe("composition");
    expect(enterMeaning(press({ isComposing: true, shiftKey: true }))).toBe("composition");
  });

  it("knows Safari's Enter that comes after the composition's end", () => {
    expect(enterMeaning(press({ isComposing: false, keyCode: 229 }))).toBe("composition");
  });

  it("ignores other keys", () => {
    expect(enterMeaning(press({ key: "a", keyCode: 65 }))).toBe("other");
  });
});
