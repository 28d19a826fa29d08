/**
 * The chat page's actions: ask, ask again, edit, stop, judge. Joins the conversations, the calls
 * that run, and what the server says of itself.
 */
import { SvelteMap } from "svelte/reactivity";
import { ApiFailure, getModels, getStatus, sendFeedback } from "../api/client";
import type { ModelsReply, StatusReply } from "../api/types";
import { suggestLanguage } from "../i18n/language.svelte";
import { ask } from "./ask";
import { Call } from "./call.svelte";
import { type Answer, type Conversation, type Turn, addAnswer, newAnswer } from "./conversation";
import { Library } from "./library.svelte";
import { defaultChoice, targetOf } from "./models";
import { requestOf } from "./request";
import { painted, sendAction, sendActionOnLeave, spanAction, wallClockMs } from "./rum";
import { newId, newSpan } from "./trace-context";

const DEFAULT_TIMEOUT_MS = 30_000;

export class Chat {
  readonly library = new Library((id) => this.calls.has(id));
  models = $state.raw<ModelsReply | null>(null);
  modelsFailed = $state(false);
  status = $state.raw<StatusReply | null>(null);
  /** Calls that run, by conversation: each has at most one. */
  readonly calls = new SvelteMap<string, Call>();
  /** Answers whose thumb could not be stored. */
  voteFailed = $state.raw<Answer | null>(null);

  get running(): Call | undefined {
    return this.calls.get(this.library.open.id);
  }

  async start(): Promise<void> {
    addEventListener("pagehide", () => this.#leave());
    await Promise.all([this.library.start(), this.refresh()]);
    if (this.models) this.library.setDefaultChoice(defaultChoice(this.models));
  }

  /** Asks the server about models and itself; the page works on without an answer. */
  async refresh(): Promise<void> {
    const [models, status] = await Promise.allSettled([getModels(), getStatus()]);
    this.modelsFailed = models.status === "rejected";
    if (models.status === "fulfilled") {
      this.models = models.value;
      this.library.setDefaultChoice(defaultChoice(models.value));
    }
    this.status = status.status === "fulfilled" ? status.value : null;
    suggestLanguage(this.status?.lang ?? null);
  }

  async ask(question: string): Promise<void> {
    const conversation = this.library.open;
    if (question.trim() === "" || this.calls.has(conversation.id)) return;
    this.library.enlist(conversation, question);
    // Only now it lies in the list, and only what lies there is reactive.
    const kept = this.library.open;
    kept.turns.push({ id: newId(), question, answers: [], shown: 0 });
    await this.#answer(kept, kept.turns.length - 1);
  }

  /** Asks the last question again; the earlier answer stays beside the new one. */
  async regenerate(): Promise<void> {
    const conversation = this.library.open;
    if (conversation.turns.length === 0 || this.calls.has(conversation.id)) return;
    await this.#answer(conversation, conversation.turns.length - 1);
  }

  /** Replaces the last question and its answers. */
  async edit(question: string): Promise<void> {
    const conversation = this.library.open;
    const turn = conversation.turns.at(-1);
    if (!turn || question.trim() === "" || this.calls.has(conversation.id)) return;
    turn.question = question;
    turn.answers = [];
    turn.shown = 0;
    await this.#answer(conversation, conversation.turns.length - 1);
  }

  stop(): void {
    this.running?.stop();
  }

  /** A thumb: pressing the same one again takes it back. */
  async vote(answer: Answer, thumb: 1 | -1): Promise<void> {
    if (!answer.spanId) return;
    const before = answer.vote;
    const conversation = this.library.open;
    answer.vote = before === thumb ? 0 : thumb;
    this.voteFailed = null;
    try {
      await sendFeedback(answer.spanId, { trace_id: answer.traceId, score: answer.vote });
      this.library.save(conversation);
    } catch {
      answer.vote = before;
      this.voteFailed = answer;
    }
  }

  async #answer(conversation: Conversation, index: number): Promise<void> {
    const span = newSpan();
    const startedMs = wallClockMs();
    const turn = conversation.turns[index] as Turn;
    addAnswer(turn, newAnswer(span.traceId, startedMs, conversation.settings.private));
    // Read back: the array holds the reactive version of what was put in.
    const answer = turn.answers[turn.shown] as Answer;
    const call = new Call(answer, span);
    this.calls.set(conversation.id, call);
    this.library.touch(conversation);

    await this.#run(call, conversation, index);

    this.calls.delete(conversation.id);
    await painted();
    answer.responseMs = performance.now() - call.sentAtMs;
    this.library.touch(conversation);
    // At once: «why this time?» is clicked now, and a write that begins on leaving may not end.
    this.library.flush();
    await sendAction(spanAction(call, answer.responseMs));
    // A first answer loads a model; the chips shall say so.
    void this.refresh();
  }

  async #run(call: Call, conversation: Conversation, index: number): Promise<void> {
    const target = targetOf(conversation.settings.choice, this.models);
    try {
      const events = ask({
        path: target.path,
        request: requestOf(conversation, index, target.model),
        span: call.span,
        signal: call.signal,
        timeoutMs: this.models?.timeout_ms ?? DEFAULT_TIMEOUT_MS,
      });
      for await (const event of events) {
        call.take(event);
        this.library.save(conversation);
      }
    } catch (error) {
      if (call.signal.aborted) call.stopped();
      else call.failed(asFailure(error));
    }
  }

  #leave(): void {
    for (const call of this.calls.values()) {
      call.stopped();
      call.answer.responseMs = performance.now() - call.sentAtMs;
      sendActionOnLeave(spanAction(call, call.answer.responseMs, "left"));
    }
    this.library.flush();
  }
}

function asFailure(error: unknown): ApiFailure {
  if (error instanceof ApiFailure) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ApiFailure("unexpected", message, 0);
}
