/**
 * What a conversation is. Conversations live in the browser alone; the server keeps of their text
 * what its privacy policy allows. Plain data: it goes into IndexedDB and exports as it stands.
 */
import type { FailureCode } from "../api/client";
import type { CallTimings, ChatMessage, Phase } from "../api/types";

export type AnswerState = "streaming" | "done" | "error" | "stopped";

export interface Problem {
  code: FailureCode;
  /** The server's own words, for the details. */
  message: string;
  phase: Phase | null;
  timeoutMs: number | null;
  retryAfterS: number | null;
  detail: string | null;
}

export interface Answer {
  state: AnswerState;
  text: string;
  thinking: string;
  startedMs: number;
  /** Asked with «don't record»: the server kept nothing of its text. */
  unrecorded: boolean;
  traceId: string;
  /** The span that feedback is about; unknown until the server said it. */
  spanId: string | null;
  requestId: string | null;
  model: string | null;
  modelRequested: string | null;
  note: string | null;
  coldStart: boolean;
  finishReason: string | null;
  promptTokens: number | null;
  cachedTokens: number | null;
  outputTokens: number | null;
  tokensPerSecond: number | null;
  /** From the click to the last token on the screen, by this browser's clock. */
  responseMs: number | null;
  timings: CallTimings | null;
  problem: Problem | null;
  vote: 1 | -1 | 0;
}

export interface Turn {
  id: string;
  question: string;
  /** Regenerating adds one; the reader can go back to an earlier one. */
  answers: Answer[];
  shown: number;
}

/** `route:/chat` asks the route's own model, `model:NAME` a certain one. */
export type ModelChoice = `route:${string}` | `model:${string}`;

export interface Settings {
  /** Null until chosen: the server's default. */
  choice: ModelChoice | null;
  system: string;
  /** Null: the model's own. */
  temperature: number | null;
  outputLimit: number;
  think: boolean | null;
  private: boolean;
}

export interface Conversation {
  id: string;
  title: string;
  /** Named by the reader, so that the first question no longer names it. */
  named: boolean;
  createdMs: number;
  updatedMs: number;
  settings: Settings;
  turns: Turn[];
}

export const DEFAULT_OUTPUT_LIMIT = 512;
export const MAX_OUTPUT_LIMIT = 32_768;
export const MAX_TEMPERATURE = 2;
export const MAX_SYSTEM_CHARS = 20_000;
export const MAX_TITLE_CHARS = 80;
const TITLE_FROM_QUESTION_CHARS = 40;
/** Answers kept per question; the oldest go first. */
export const MAX_ANSWERS = 8;

export function newConversation(
  id: string,
  nowMs: number,
  choice: ModelChoice | null,
): Conversation {
  return {
    id,
    title: "",
    named: false,
    createdMs: nowMs,
    updatedMs: nowMs,
    settings: {
      choice,
      system: "",
      temperature: null,
      outputLimit: DEFAULT_OUTPUT_LIMIT,
      think: null,
      private: false,
    },
    turns: [],
  };
}

export function newAnswer(traceId: string, nowMs: number, unrecorded: boolean): Answer {
  return {
    state: "streaming",
    text: "",
    thinking: "",
    startedMs: nowMs,
    unrecorded,
    traceId,
    spanId: null,
    requestId: null,
    model: null,
    modelRequested: null,
    note: null,
    coldStart: false,
    finishReason: null,
    promptTokens: null,
    cachedTokens: null,
    outputTokens: null,
    tokensPerSecond: null,
    responseMs: null,
    timings: null,
    problem: null,
    vote: 0,
  };
}

/** The answer that is shown, and that later questions refer to. */
export function shownAnswer(turn: Turn): Answer | undefined {
  return turn.answers[turn.shown] ?? turn.answers.at(-1);
}

/** Adds an answer and shows it; the oldest beyond the limit is dropped. */
export function addAnswer(turn: Turn, answer: Answer): void {
  turn.answers.push(answer);
  if (turn.answers.length > MAX_ANSWERS) turn.answers.shift();
  turn.shown = turn.answers.length - 1;
}

/**
 * Earlier turns as the model is to see them. A turn whose answer failed before its first word says
 * nothing to the model; a stopped answer counts as far as it came.
 */
export function earlierMessages(turns: readonly Turn[]): ChatMessage[] {
  return turns.flatMap((turn): ChatMessage[] => {
    const answer = shownAnswer(turn);
    if (!answer || answer.text === "") return [];
    return [
      { role: "user", content: turn.question },
      { role: "assistant", content: answer.text },
    ];
  });
}

/** Whether something in it was asked with «don't record»; such text must not be sent recorded. */
export function hasUnrecorded(conversation: Conversation): boolean {
  return conversation.turns.some((turn) => turn.answers.some((answer) => answer.unrecorded));
}

export function titleFrom(question: string): string {
  const line = question.trim().replace(/\s+/gu, " ");
  const characters = [...line];
  if (characters.length <= TITLE_FROM_QUESTION_CHARS) return line;
  return `${characters.slice(0, TITLE_FROM_QUESTION_CHARS).join("")}…`;
}

export function clampOutputLimit(value: number): number {
  if (!Number.isFinite(value)) return DEFAULT_OUTPUT_LIMIT;
  return Math.min(MAX_OUTPUT_LIMIT, Math.max(1, Math.round(value)));
}

export function clampTemperature(value: number | null): number | null {
  if (value === null || !Number.isFinite(value)) return null;
  return Math.min(MAX_TEMPERATURE, Math.max(0, value));
}
