/**
 * Conversations in IndexedDB. Bounded, so that a browser's quota is never met by surprise, and
 * forgiving: where the browser has no storage (private windows, blocked cookies) everything works
 * until the page is left, and the page says so.
 */
import type { Conversation } from "./conversation";

const DATABASE = "andon-chat";
const STORE = "conversations";
const VERSION = 1;

/** The oldest beyond this number are removed when a new one is saved. */
export const MAX_CONVERSATIONS = 300;

export interface ConversationStorage {
  all(): Promise<Conversation[]>;
  put(conversation: Conversation): Promise<void>;
  remove(id: string): Promise<void>;
}

function settled<Value>(request: IDBRequest<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB request failed"));
  });
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB aborted"));
  });
}

function open(factory: IDBFactory): Promise<IDBDatabase> {
  const request = factory.open(DATABASE, VERSION);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(STORE, { keyPath: "id" }).createIndex("updated", "updatedMs");
  };
  return settled(request).then((database) => {
    // Another tab with a newer version of the page must not wait for this one.
    database.onversionchange = () => database.close();
    return database;
  });
}

export async function openStorage(
  factory: IDBFactory = indexedDB,
  limit = MAX_CONVERSATIONS,
): Promise<ConversationStorage> {
  const database = await open(factory);

  return {
    async all() {
      const index = database.transaction(STORE).objectStore(STORE).index("updated");
      const oldestFirst: Conversation[] = await settled(index.getAll());
      return oldestFirst.reverse();
    },

    async put(conversation) {
      const transaction = database.transaction(STORE, "readwrite");
      const done = committed(transaction);
      const store = transaction.objectStore(STORE);
      store.put(conversation);
      const total = await settled(store.count());
      let surplus = total - limit;
      if (surplus > 0) {
        const cursor = store.index("updated").openCursor();
        cursor.onsuccess = () => {
          const oldest = cursor.result;
          if (!oldest || surplus <= 0) return;
          surplus -= 1;
          oldest.delete();
          oldest.continue();
        };
      }
      await done;
    },

    async remove(id) {
      const transaction = database.transaction(STORE, "readwrite");
      const done = committed(transaction);
      transaction.objectStore(STORE).delete(id);
      await done;
    },
  };
}

/** A page that was left while an answer streamed comes back with that answer as stopped. */
export function afterReload(conversation: Conversation): Conversation {
  for (const turn of conversation.turns) {
    for (const answer of turn.answers) {
      if (answer.state === "streaming") answer.state = "stopped";
    }
  }
  return conversation;
}
