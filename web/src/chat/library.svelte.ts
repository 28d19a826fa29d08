/**
 * The reader's conversations: which there are, which one is open (its id is in the URL), and
 * keeping them. Saving is delayed while an answer grows, and done at once when the page is left.
 */
import {
  type Conversation,
  type ModelChoice,
  MAX_TITLE_CHARS,
  newConversation,
  titleFrom,
} from "./conversation";
import { type ConversationStorage, afterReload, openStorage } from "./storage";
import { newId } from "./trace-context";

const SAVE_DELAY_MS = 500;
const CHANNEL = "andon-chat";
const URL_KEY = "c";

export class Library {
  /** Newest first. An empty new conversation is not among them until its first question. */
  list = $state<Conversation[]>([]);
  ready = $state(false);
  /** False where the browser keeps nothing; the page says so. */
  keeps = $state(true);
  #openId = $state<string | null>(null);
  #fresh = $state<Conversation>(newConversation(newId(), Date.now(), null));

  #storage: ConversationStorage | null = null;
  // eslint-disable-next-line svelte/prefer-svelte-reactivity -- bookkeeping that nothing draws
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #others: BroadcastChannel | null = null;

  /** Whether this very tab is adding an answer to a conversation. */
  constructor(private readonly isAnswering: (id: string) => boolean) {}

  get open(): Conversation {
    return this.list.find((conversation) => conversation.id === this.#openId) ?? this.#fresh;
  }

  async start(): Promise<void> {
    this.#openId = idInUrl();
    addEventListener("popstate", () => (this.#openId = idInUrl()));
    addEventListener("pagehide", () => this.flush());
    try {
      this.#storage = await openStorage();
      this.list = (await this.#storage.all()).map(afterReload);
      this.#listenToOtherTabs();
    } catch {
      this.keeps = false;
    }
    this.ready = true;
  }

  show(id: string): void {
    this.#openId = id;
    history.pushState(null, "", `?${URL_KEY}=${encodeURIComponent(id)}`);
  }

  /** A new, empty conversation that asks the same model as the one before. */
  startNew(): void {
    this.#fresh = newConversation(newId(), Date.now(), this.open.settings.choice);
    this.#openId = null;
    history.pushState(null, "", location.pathname);
  }

  /** Takes an empty conversation into the list, now that it has its first question. */
  enlist(conversation: Conversation, question: string): void {
    if (!conversation.named && conversation.turns.length === 0) {
      conversation.title = titleFrom(question);
    }
    if (this.list.some((known) => known.id === conversation.id)) return;
    this.list.unshift(conversation);
    this.#openId = conversation.id;
    this.#fresh = newConversation(newId(), Date.now(), conversation.settings.choice);
    history.replaceState(null, "", `?${URL_KEY}=${encodeURIComponent(conversation.id)}`);
  }

  rename(conversation: Conversation, title: string): void {
    const clean = [...title.trim()].slice(0, MAX_TITLE_CHARS).join("");
    if (clean === "") return;
    conversation.title = clean;
    conversation.named = true;
    this.save(conversation);
  }

  async remove(conversation: Conversation): Promise<void> {
    clearTimeout(this.#timers.get(conversation.id));
    this.#timers.delete(conversation.id);
    const wasOpen = this.open.id === conversation.id;
    this.list = this.list.filter((known) => known.id !== conversation.id);
    if (wasOpen) this.startNew();
    await this.#storage?.remove(conversation.id).catch(() => (this.keeps = false));
    this.#others?.postMessage(conversation.id);
  }

  /** Something was asked or answered: it becomes the newest. */
  touch(conversation: Conversation): void {
    conversation.updatedMs = Date.now();
    const at = this.list.findIndex((known) => known.id === conversation.id);
    if (at > 0) this.list.unshift(...this.list.splice(at, 1));
    this.save(conversation);
  }

  save(conversation: Conversation): void {
    if (!this.list.some((known) => known.id === conversation.id)) return;
    if (this.#timers.has(conversation.id)) return;
    const timer = setTimeout(() => void this.#write(conversation), SAVE_DELAY_MS);
    this.#timers.set(conversation.id, timer);
  }

  flush(): void {
    for (const id of [...this.#timers.keys()]) {
      const conversation = this.list.find((known) => known.id === id);
      if (conversation) void this.#write(conversation);
    }
  }

  setDefaultChoice(choice: ModelChoice | null): void {
    this.#fresh.settings.choice ??= choice;
  }

  async #write(conversation: Conversation): Promise<void> {
    clearTimeout(this.#timers.get(conversation.id));
    this.#timers.delete(conversation.id);
    try {
      await this.#storage?.put($state.snapshot(conversation) as Conversation);
      this.keeps = this.#storage !== null;
      this.#others?.postMessage(conversation.id);
    } catch {
      this.keeps = false;
    }
  }

  /** Another tab changed a conversation: show it too, unless it is being written to here. */
  #listenToOtherTabs(): void {
    if (typeof BroadcastChannel === "undefined") return;
    this.#others = new BroadcastChannel(CHANNEL);
    this.#others.onmessage = async (event: MessageEvent<string>) => {
      const busy = ({ id }: Conversation) => this.#timers.has(id) || this.isAnswering(id);
      const stored = await this.#storage?.all().catch(() => null);
      if (!stored) return;
      const known = stored.map((fresh) => {
        const here = this.list.find((candidate) => candidate.id === fresh.id);
        return here && (fresh.id !== event.data || busy(here)) ? here : fresh;
      });
      const unsaved = this.list.filter(
        (here) => busy(here) && !stored.some((fresh) => fresh.id === here.id),
      );
      this.list = [...unsaved, ...known];
    };
  }
}

function idInUrl(): string | null {
  return new URLSearchParams(location.search).get(URL_KEY);
}
