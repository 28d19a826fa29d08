/**
 * What the Enter key means in a field. While an input method composes (Japanese, Chinese, Korean),
 * Enter ends the composition and must do nothing else. Browsers say so with `isComposing`; Safari
 * fires the key after the composition's end, so there only the key code 229 tells.
 */
export type EnterMeaning = "submit" | "newline" | "composition" | "other";

export interface KeyPress {
  key: string;
  keyCode: number;
  isComposing: boolean;
  shiftKey: boolean;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

const COMPOSITION_KEY_CODE = 229;

export function isComposing(event: Pick<KeyPress, "isComposing" | "keyCode">): boolean {
  return event.isComposing || event.keyCode === COMPOSITION_KEY_CODE;
}

export function enterMeaning(event: KeyPress): EnterMeaning {
  if (isComposing(event)) return "composition";
  if (event.key !== "Enter" || event.altKey) return "other";
  if (event.shiftKey) return "newline";
  return "submit";
}
