import { expect, it } from "vitest";
import { chat as en } from "../i18n/en/chat";
import { type Conversation, addAnswer, newAnswer, newConversation } from "./conversation";
import { fileName, toJson, toMarkdown } from "./export";

function sample(): Conversation {
  const conversation = newConversation("c", Date.UTC(2026, 10, 25), null);
  conversation.settings.system = "Be brief.";
  const turn = { id: "t", question: "Why?\n", answers: [], shown: 0 };
  addAnswer(turn, { ...newAnswer("a", 0, false), text: "First", state: "done" });
  addAnswer(turn, {
    ...newAnswer("b", 0, false),
    text: "```sh\nls\n```",
    thinking: "one\n\ntwo",
    model: "gemma3:270m",
    state: "stopped",
  });
  conversation.turns.push(turn);
  return conversation;
}

it("writes Markdown that reads like the conversation, with the shown answers", () => {
  expect(toMarkdown(sample(), "A\ntitle", en.exportWords)).toBe(
    `# A title

2026-11-25T00:00:00.000Z

## System prompt

Be brief.

## Question

Why?

## Answer (gemma3:270m)

> Thinking
>
> one
>
> two

\`\`\`sh
ls
\`\`\`

*stopped by the reader*
`,
  );
});

it("writes JSON with everything, readable again", () => {
  const conversation = sample();
  const read: unknown = JSON.parse(toJson(conversation, "A"));
  expect(read).toMatchObject({
    format: "andon-conversation",
    version: 1,
    title: "A",
    created: "2026-11-25T00:00:00.000Z",
    turns: JSON.parse(JSON.stringify(conversation.turns)),
  });
});

it.each([
  ["../../etc/passwd", "etc passwd.md"],
  ["a\u0000b:c?", "a b c.md"],
  ["", "conversation.md"],
  ["会議の要約", "会議の要約.md"],
])("names the file of %j %s", (title, name) => expect(fileName(title, "md")).toBe(name));

it("keeps a file name short", () => {
  expect([...fileName("𠮷".repeat(500), "json")]).toHaveLength(60 + ".json".length);
});
