// The models that Andon keeps in memory, and what can be done with a runtime's models.

import {
  ApiFailure,
  getKeptModels,
  keepModel,
  keepModelNoLonger,
  loadModel,
  unloadModel,
} from "../../api/client";
import type { KeptHours, KeptModel, ModelOf } from "../../api/types";

export type ModelDeed = "keep" | "let" | "load" | "unload";

const DEEDS: Record<ModelDeed, (of: ModelOf) => Promise<unknown>> = {
  keep: keepModel,
  let: keepModelNoLonger,
  load: loadModel,
  unload: unloadModel,
};

export class KeptModels {
  all = $state.raw<readonly KeptModel[]>([]);
  /** What is being done, and with which model. */
  busy = $state.raw<(ModelOf & { deed: ModelDeed }) | null>(null);
  /** Why the last deed came to nothing. */
  failure = $state.raw<ApiFailure | null>(null);

  of(runtime: string, model: string): KeptModel | null {
    return this.all.find((one) => one.runtime === runtime && one.model === model) ?? null;
  }

  /** Without an answer, what was known stays. */
  async refresh(signal?: AbortSignal): Promise<void> {
    try {
      this.all = (await getKeptModels(signal)).kept;
    } catch {
      // The page's other question says that the server is gone.
    }
  }

  act(deed: ModelDeed, of: ModelOf): Promise<void> {
    return this.#ask(deed, of, () => DEEDS[deed](of));
  }

  /** Keeps it at these hours from now on; null: always. */
  keepAt(hours: KeptHours | null, of: ModelOf): Promise<void> {
    return this.#ask("keep", of, () => keepModel({ ...of, hours }));
  }

  async #ask(deed: ModelDeed, of: ModelOf, question: () => Promise<unknown>): Promise<void> {
    if (this.busy) return;
    this.busy = { ...of, deed };
    this.failure = null;
    try {
      await question();
    } catch (error) {
      this.failure =
        error instanceof ApiFailure ? error : new ApiFailure("unexpected", String(error), 0);
    }
    this.busy = null;
    await this.refresh();
  }
}

/** Runtimes that load and let go of models when asked; the others hold what they were started with. */
export function loadsWhenAsked(kind: string | null): boolean {
  return kind === "builtin" || kind === "ollama";
}
