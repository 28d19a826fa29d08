/** What is sent with a question: the conversation so far and its settings. */
import type { ChatRequest } from "../api/types";
import { type Conversation, clampOutputLimit, earlierMessages } from "./conversation";

/** The question of the turn at `index`; `model` null asks the route's own model. */
export function requestOf(
  conversation: Conversation,
  index: number,
  model: string | null,
): ChatRequest {
  const { settings, turns } = conversation;
  const messages = earlierMessages(turns.slice(0, index));
  return {
    message: turns[index]?.question ?? "",
    ...(model === null ? {} : { model }),
    ...(messages.length > 0 ? { messages } : {}),
    ...(settings.system.trim() === "" ? {} : { system: settings.system }),
    ...(settings.temperature === null ? {} : { temperature: settings.temperature }),
    ...(settings.think === null ? {} : { think: settings.think }),
    num_predict: clampOutputLimit(settings.outputLimit),
    session_id: conversation.id,
    ...(settings.private ? { privacy: "none" as const } : {}),
  };
}
