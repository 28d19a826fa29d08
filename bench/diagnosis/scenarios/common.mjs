// What the scenarios share.

/** Nanoseconds in a millisecond. */
export const NS = 1e6;
export const ENDLESS = `${"ABC ".repeat(10).trim()} 1 2 3 を続けてください`;

/** A call as most are: of this length, answered in about as many tokens. */
export function ordinary(random) {
  return { content: random.words(random.whole(30, 70)), tokens: random.whole(16, 32) };
}

/** An answer without an end, to a question that nobody has asked before: no cache knows it. */
export function endless(random) {
  // A number leads: words would lead the model to another answer, mostly a short one.
  return `${random.whole(1000, 9999)} ${ENDLESS}`;
}

/** So many tokens show a pace, and are not a long answer yet. */
export function someTokens(random) {
  return random.whole(28, 36);
}
