/** What the model select offers, and where a choice is sent. */
import type { ModelInfo, ModelsReply, RouteInfo } from "../api/types";
import type { ModelChoice } from "./conversation";

export interface Target {
  path: string;
  /** Null: the route's own model. */
  model: string | null;
}

const DEFAULT_ROUTE = "/chat";

/** Only the server's own paths; anything else in a stored choice falls back to the default. */
export function targetOf(choice: ModelChoice | null, known: ModelsReply | null): Target {
  if (choice?.startsWith("route:")) {
    const path = choice.slice("route:".length);
    const routes = known?.routes.map((route) => route.path) ?? [DEFAULT_ROUTE, "/granite"];
    return { path: routes.includes(path) ? path : DEFAULT_ROUTE, model: null };
  }
  if (choice?.startsWith("model:")) {
    return { path: DEFAULT_ROUTE, model: choice.slice("model:".length) };
  }
  return { path: DEFAULT_ROUTE, model: null };
}

/** What a new conversation starts with: the server's default model, else the first route. */
export function defaultChoice(known: ModelsReply): ModelChoice | null {
  const model = known.models.find((candidate) => candidate.default) ?? known.models[0];
  if (model) return `model:${model.name}`;
  const route = known.routes[0];
  return route ? `route:${route.path}` : null;
}

/** A choice that the server no longer offers is kept, so that the reader sees what was chosen. */
export function isOffered(choice: ModelChoice, known: ModelsReply): boolean {
  return (
    known.routes.some((route) => choice === `route:${route.path}`) ||
    known.models.some((model) => choice === `model:${model.name}`)
  );
}

/** The model that really answers this choice, where known. */
export function answeringModel(choice: ModelChoice | null, known: ModelsReply): ModelInfo | null {
  const target = targetOf(choice, known);
  const name = target.model ?? routeOf(choice, known)?.answered_by ?? null;
  return known.models.find((model) => model.name === name) ?? null;
}

export function routeOf(choice: ModelChoice | null, known: ModelsReply): RouteInfo | null {
  return known.routes.find((route) => choice === `route:${route.path}`) ?? null;
}

export function isStandIn(route: RouteInfo): boolean {
  return route.answered_by !== null && route.answered_by !== route.model;
}

/** Characters that the server keeps of each text: a number, all of it, or nothing. */
export function keptCharacters(policy: string): number | "all" | "nothing" | "unknown" {
  if (policy === "full") return "all";
  if (policy === "none") return "nothing";
  const visible = /^mask:(\d+)$/u.exec(policy)?.[1];
  return visible === undefined ? "unknown" : Number(visible);
}
