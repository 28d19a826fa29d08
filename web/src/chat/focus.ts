/** Puts the cursor back into the message field, e.g. when the pressed button goes away. */
export function focusMessage(): void {
  // On a phone that would call up the keyboard over the answer.
  if (matchMedia("(pointer: fine)").matches) document.getElementById("message")?.focus();
}
