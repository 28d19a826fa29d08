// Questions whose answers have the length that a test needs, from the real model.

/** Answered in a sentence. */
export const SHORT = "日本の首都はどこですか?";

/**
 * The model goes on with this until it is stopped: for tests that must meet it while it writes.
 * `num_predict` bounds it all the same.
 */
export const ENDLESS = `${"ABC ".repeat(10).trim()} を続けてください`;
export const ENDLESSLY = { num_predict: 3000, temperature: 0 };

/** Some hundred tokens, so that reading them takes a while. */
export function long(sentences) {
  return "国境の長いトンネルを抜けると雪国であった。".repeat(sentences);
}
