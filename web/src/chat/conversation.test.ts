import { describe, expect, it } from "vitest";
import {
  type Conversation,
  DEFAULT_OUTPUT_LIMIT,
  MAX_ANSWERS,
  MAX_OUTPUT_LIMIT,
  type Turn,
  addAnswer,
  clampOutputLimit,
  clampTemperature,
  earlierMessages,
  hasUnrecorded,
  newAnswer,
  newConversation,
  shownAnswer,
  titleFrom,
} from "./conversation";

const turn = (question: string, ...texts: string[]): Turn => {
  const made: Turn = { id: question, question, answers: [], shown: 0 };
  for (const text of texts) addAnswer(made, { ...newAnswer("t", 0, false), text, state: "done" });
  return made;
};

describe("earlier messages", () => {
  it("are the shown answers, oldest first", () => {
    const second = turn("b", "old", "new");
    second.shown = 0;
    expect(earlierMessages([turn("a", "A"), second])).toEqual([
      { role: "user", content: "a" },
      { role: "assistant", content: "A" },
      { role: "user", content: "b" },
      { role: "assistant", content: "old" },
    ]);
  });

  it("leave out a question whose answer failed before its first word", () => {
    expect(earlierMessages([turn("a", ""), turn("b")])).toEqual([]);
  });
});

describe("answers of a question", () => {
  it("shows the newest, and keeps a bounded number", () => {
    const texts = Array.from({ length: MAX_ANSWERS + 3 }, (_, index) => `${index}`);
    const full = turn("a", ...texts);
    expect(full.answers).toHaveLength(MAX_ANSWERS);
    expect(shownAnswer(full)?.text).toBe(texts.at(-1));
    expect(full.answers[0]?.text).toBe("3");
  });

  it("falls back to the last when the shown one is gone", () => {
    const one = turn("a", "x");
    one.shown = 7;
    expect(shownAnswer(one)?.text).toBe("x");
  });
});

it("knows when text in a conversation was not to be recorded", () => {
  const conversation: Conversation = newConversation("c", 0, null);
  conversation.turns.push(turn("a", "A"));
  expect(hasUnrecorded(conversation)).toBe(false);
  addAnswer(conversation.turns[0] as Turn, newAnswer("t", 0, true));
  expect(hasUnrecorded(conversation)).toBe(true);
});

describe("titles", () => {
  it("cut by characters, never within one", () => {
    expect(titleFrom("  短い\n質問 ")).toBe("短い 質問");
    const long = "𠮷".repeat(60);
    expect(titleFrom(long)).toBe(`${"𠮷".repeat(40)}…`);
  });
});

describe("settings stay within what the server takes", () => {
  it.each([
    [0, 1],
    [2.6, 3],
    [1e9, MAX_OUTPUT_LIMIT],
    [Number.NaN, DEFAULT_OUTPUT_LIMIT],
  ])("output limit %d becomes %d", (given, kept) => expect(clampOutputLimit(given)).toBe(kept));

  it("temperature may be the model's own", () => {
    expect(clampTemperature(null)).toBeNull();
    expect(clampTemperature(Number.NaN)).toBeNull();
    expect(clampTemperature(-1)).toBe(0);
    expect(clampTemperature(9)).toBe(2);
  });
});
