/** A conversation as a file: Markdown to read, JSON to keep or to process. */
import { rfc3339 } from "../format/time";
import { type Conversation, shownAnswer } from "./conversation";

export interface ExportWords {
  question: string;
  answer: string;
  system: string;
  thinking: string;
  stopped: string;
  failed: string;
}

const iso = (ms: number): string => rfc3339(ms * 1e6);

export function toMarkdown(conversation: Conversation, title: string, words: ExportWords): string {
  const parts = [`# ${title.replace(/\s+/gu, " ")}`, iso(conversation.createdMs)];
  const { system } = conversation.settings;
  if (system.trim()) parts.push(`## ${words.system}`, system.trim());
  for (const turn of conversation.turns) {
    parts.push(`## ${words.question}`, turn.question.trim());
    const answer = shownAnswer(turn);
    if (!answer) continue;
    const by = answer.model ? ` (${answer.model})` : "";
    parts.push(`## ${words.answer}${by}`);
    if (answer.thinking.trim())
      parts.push(quoted(`${words.thinking}\n\n${answer.thinking.trim()}`));
    if (answer.text.trim()) parts.push(answer.text.trim());
    if (answer.state === "stopped") parts.push(`*${words.stopped}*`);
    if (answer.problem) parts.push(`*${words.failed}: ${answer.problem.code}*`);
  }
  return `${parts.join("\n\n")}\n`;
}

function quoted(text: string): string {
  return text
    .split("\n")
    .map((line) => `> ${line}`.trimEnd())
    .join("\n");
}

export function toJson(conversation: Conversation, title: string): string {
  const { createdMs, updatedMs, settings, turns, id } = conversation;
  const file = {
    format: "andon-conversation",
    version: 1,
    id,
    title,
    created: iso(createdMs),
    updated: iso(updatedMs),
    settings,
    turns,
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** A name every file system takes: no separators, no control characters, not too long. */
export function fileName(title: string, extension: "md" | "json"): string {
  const safe = title
    // eslint-disable-next-line no-control-regex -- control characters are what is removed here
    .replace(/[\u0000-\u001f\u007f/\\:*?"<>|]+/gu, " ")
    // A leading dot hides a file, and two name the folder above.
    .replace(/^[.\s]+/u, "")
    .trim();
  const stem = [...(safe || "conversation")].slice(0, 60).join("").trim();
  return `${stem}.${extension}`;
}

export function download(name: string, type: string, content: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // Some browsers read the blob after the click returned.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
