/** What a reader must know of the recording itself: what was dropped, and whether it stands still. */
import type { StatusReply } from "../../api/types";

export interface StoreNotice {
  /** Spans that were dropped since Andon started, over all causes. */
  dropped: number;
  /** Why nothing is written at present; null while all is well. */
  broken: string | null;
}

interface Recording extends Pick<StatusReply, "dropped"> {
  store: Pick<StatusReply["store"], "healthy" | "message">;
}

export function storeNotice(status: Recording): StoreNotice | null {
  const { queue_full, store_unavailable, unreadable } = status.dropped;
  const dropped = queue_full + store_unavailable + unreadable;
  const broken = status.store.healthy ? null : (status.store.message ?? "");
  return dropped === 0 && broken === null ? null : { dropped, broken };
}
