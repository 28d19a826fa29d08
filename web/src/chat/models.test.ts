import { describe, expect, it } from "vitest";
import type { ModelInfo, ModelsReply } from "../api/types";
import {
  answeringModel,
  defaultChoice,
  isOffered,
  isStandIn,
  keptCharacters,
  routeOf,
  targetOf,
} from "./models";

const model = (name: string, isDefault = false): ModelInfo => ({
  name,
  size_bytes: null,
  parameter_size: null,
  quantization: null,
  family: null,
  context_length: null,
  digest: null,
  loaded: false,
  loaded_context_length: null,
  memory_bytes: null,
  gpu_bytes: null,
  experts: null,
  expires_ns: null,
  default: isDefault,
});

const known: ModelsReply = {
  runtime: {
    name: "r",
    product: "runtime",
    kind: "builtin",
    address: "",
    version: null,
    healthy: true,
    message: null,
  },
  models: [model("other"), model("gemma", true)],
  routes: [
    { path: "/chat", model: "tiny", answered_by: "gemma", note: "n" },
    { path: "/granite", model: "other", answered_by: "other", note: null },
  ],
  privacy: "mask:10",
  timeout_ms: 30_000,
  max_body_bytes: 1,
};

describe("where a choice is sent", () => {
  it("asks a route for its own model, and a model through the first route", () => {
    expect(targetOf("route:/granite", known)).toEqual({ path: "/granite", model: null });
    expect(targetOf("model:gemma", known)).toEqual({ path: "/chat", model: "gemma" });
    expect(targetOf(null, null)).toEqual({ path: "/chat", model: null });
  });

  it("never leaves the server's own paths, whatever was stored", () => {
    expect(targetOf("route:https://elsewhere.example/", known).path).toBe("/chat");
    expect(targetOf("route:/api/v1/rum", null).path).toBe("/chat");
  });
});

describe("what is offered", () => {
  it("begins with the server's default model", () => {
    expect(defaultChoice(known)).toBe("model:gemma");
    expect(defaultChoice({ ...known, models: [] })).toBe("route:/chat");
    expect(defaultChoice({ ...known, models: [], routes: [] })).toBeNull();
  });

  it("notices a choice that is gone", () => {
    expect(isOffered("model:gemma", known)).toBe(true);
    expect(isOffered("route:/granite", known)).toBe(true);
    expect(isOffered("model:removed", known)).toBe(false);
  });

  it("names the model that really answers", () => {
    expect(answeringModel("route:/chat", known)?.name).toBe("gemma");
    expect(answeringModel("model:removed", known)).toBeNull();
    const [chat, granite] = known.routes;
    expect(chat && isStandIn(chat)).toBe(true);
    expect(granite && isStandIn(granite)).toBe(false);
    expect(routeOf("model:gemma", known)).toBeNull();
  });
});

it.each([
  ["full", "all"],
  ["none", "nothing"],
  ["mask:10", 10],
  ["mask:-1", "unknown"],
  ["", "unknown"],
])("policy %s keeps %s", (policy, kept) => expect(keptCharacters(policy)).toBe(kept));
