import { describe, expect, it } from "vitest";
import { type Conversation, addAnswer, newAnswer, newConversation } from "./conversation";
import { requestOf } from "./request";

function sample(...questions: string[]): Conversation {
  const conversation = newConversation("c", 0, null);
  for (const question of questions) {
    const turn = { id: question, question, answers: [], shown: 0 };
    addAnswer(turn, { ...newAnswer("t", 0, false), text: `${question}!`, state: "done" });
    conversation.turns.push(turn);
  }
  return conversation;
}

describe("a question's request", () => {
  it("says nothing that was not chosen, but always its output limit and conversation", () => {
    expect(requestOf(sample("a"), 0, null)).toEqual({
      message: "a",
      num_predict: 512,
      session_id: "c",
    });
  });

  it("carries the turns before it, and not its own earlier answer", () => {
    expect(requestOf(sample("a", "b"), 1, "gemma").messages).toEqual([
      { role: "user", content: "a" },
      { role: "assistant", content: "a!" },
    ]);
  });

  it("carries the conversation's settings", () => {
    const conversation = sample("a");
    Object.assign(conversation.settings, {
      system: "Be brief.",
      temperature: 0,
      outputLimit: 1e9,
      think: false,
      private: true,
    });
    expect(requestOf(conversation, 0, "gemma")).toEqual({
      message: "a",
      model: "gemma",
      system: "Be brief.",
      temperature: 0,
      think: false,
      num_predict: 32_768,
      session_id: "c",
      privacy: "none",
    });
  });
});
