/**
 * Calls to Andon's own server. Every failure becomes an `ApiFailure` with a code, so that pages
 * translate codes and never parse sentences; `network` means that no answer came at all.
 */
import type {
  AggregateQuery,
  Aggregation,
  ApiError,
  CapacityQuery,
  CapacityReply,
  ConnectionsReply,
  ErrorCode,
  Explanation,
  FeedbackReply,
  FeedbackRequest,
  HeatMap,
  HeatMapQuery,
  IntakeReply,
  KeptReply,
  KnownHosts,
  LiveReply,
  MachineAnswer,
  MachineQuery,
  Measured,
  ModelOf,
  ModelStays,
  ModelsReply,
  Note,
  NotesReply,
  People,
  PeopleQuery,
  RuntimesReply,
  StatusReply,
  StaysQuery,
  ToKeep,
  TraceHostReply,
  TraceReply,
  TracesQuery,
  TracesReply,
  WhatIf,
  WhatIfQuery,
} from "./types";

/** What can go wrong beside the server's own codes. */
export type FailureCode = ErrorCode | "network" | "unexpected";

export class ApiFailure extends Error {
  constructor(
    readonly code: FailureCode,
    message: string,
    /** 0 when there was no answer. */
    readonly status: number,
    readonly body: ApiError | null = null,
  ) {
    super(message);
    this.name = "ApiFailure";
  }
}

const CODES_BY_STATUS: Record<number, ErrorCode> = {
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  405: "method_not_allowed",
  413: "too_large",
  503: "queue_full",
  504: "timeout",
};

function isApiError(value: unknown): value is ApiError {
  return typeof value === "object" && value !== null && "error" in value;
}

/** Reads why an answer is not a good one. Something between page and server may have sent HTML. */
export async function failureOf(response: Response): Promise<ApiFailure> {
  const text = await response.text().catch(() => "");
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Not Andon's own answer; the status has to do.
  }
  if (isApiError(body)) {
    const code = body.code ?? CODES_BY_STATUS[response.status] ?? "unexpected";
    return new ApiFailure(code, body.error, response.status, { ...body, code: code as ErrorCode });
  }
  const code = CODES_BY_STATUS[response.status] ?? "unexpected";
  return new ApiFailure(code, `HTTP ${response.status}`, response.status);
}

/** A failure of `fetch` itself; an abort by the caller is passed on as it is. */
export function networkFailure(error: unknown): unknown {
  if (error instanceof ApiFailure) return error;
  if (error instanceof DOMException && error.name === "AbortError") return error;
  return new ApiFailure("network", error instanceof Error ? error.message : String(error), 0);
}

async function request<Reply>(path: string, init: RequestInit = {}): Promise<Reply> {
  try {
    const response = await fetch(path, init);
    if (!response.ok) throw await failureOf(response);
    return (await response.json()) as Reply;
  } catch (error) {
    throw networkFailure(error);
  }
}

export function get<Reply>(
  path: string,
  query: Record<string, string | number | null | undefined> = {},
  signal?: AbortSignal,
): Promise<Reply> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parameters.set(name, String(value));
  }
  const search = parameters.size > 0 ? `?${parameters}` : "";
  return request<Reply>(path + search, {
    headers: { accept: "application/json" },
    ...(signal ? { signal } : {}),
  });
}

export function post<Reply>(path: string, body: unknown, init: RequestInit = {}): Promise<Reply> {
  return request<Reply>(path, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify(body),
    ...init,
  });
}

export const getModels = (signal?: AbortSignal): Promise<ModelsReply> =>
  get("/api/v1/models", {}, signal);

/** The calls that run now, and what they wait for, in a language. */
export const getLive = (lang: "ja" | "en", signal?: AbortSignal): Promise<LiveReply> =>
  get("/api/v1/live", { lang }, signal);

export const getRuntimes = (signal?: AbortSignal): Promise<RuntimesReply> =>
  get("/api/v1/runtimes", {}, signal);

/** The models that Andon keeps in memory. */
export const getKeptModels = (signal?: AbortSignal): Promise<KeptReply> =>
  get("/api/v1/models/kept", {}, signal);

/** Always, unless hours are named. */
export const keepModel = (model: ToKeep): Promise<KeptReply> =>
  post("/api/v1/models/kept", model, { method: "PUT" });

export const keepModelNoLonger = (of: ModelOf): Promise<KeptReply> =>
  request(`/api/v1/models/kept?${new URLSearchParams({ ...of })}`, { method: "DELETE" });

/** Answers when the model is in memory. */
export const loadModel = (of: ModelOf): Promise<unknown> => post("/api/v1/models/load", of);

export const unloadModel = (of: ModelOf): Promise<unknown> => post("/api/v1/models/unload", of);

/** What came in by each door since the start. */
export const getIntake = (signal?: AbortSignal): Promise<IntakeReply> =>
  get("/api/v1/intake", {}, signal);

/** The lines to paste, with comments in this language. */
export const getConnections = (lang: string, signal?: AbortSignal): Promise<ConnectionsReply> =>
  get("/api/v1/connect", { lang }, signal);

export const getStatus = (signal?: AbortSignal): Promise<StatusReply> =>
  get("/api/v1/status", {}, signal);

export const getTraces = (query: TracesQuery, signal?: AbortSignal): Promise<TracesReply> =>
  get("/api/v1/traces", { ...query }, signal);

export const getTrace = (traceId: string, signal?: AbortSignal): Promise<TraceReply> =>
  get(`/api/v1/traces/${encodeURIComponent(traceId)}`, {}, signal);

/** Of the machine that Andon runs on, unless another one that sends samples is named. */
export const getTraceHost = (
  traceId: string,
  host: string | null,
  signal?: AbortSignal,
): Promise<TraceHostReply> =>
  get(`/api/v1/traces/${encodeURIComponent(traceId)}/host`, { host }, signal);

export const getTraceWhy = (
  traceId: string,
  lang: "ja" | "en",
  signal?: AbortSignal,
): Promise<Explanation> =>
  get(`/api/v1/traces/${encodeURIComponent(traceId)}/why`, { lang }, signal);

export const getAggregate = (query: AggregateQuery, signal?: AbortSignal): Promise<Aggregation> =>
  get("/api/v1/aggregate", { ...query }, signal);

export const getHeatMap = (query: HeatMapQuery, signal?: AbortSignal): Promise<HeatMap> =>
  get("/api/v1/heatmap", { ...query }, signal);

export const getMachine = (query: MachineQuery, signal?: AbortSignal): Promise<MachineAnswer> =>
  get("/api/v1/machine", { ...query }, signal);

/** From when to when each model was in a runtime's memory. */
export const getModelStays = (query: StaysQuery, signal?: AbortSignal): Promise<ModelStays> =>
  get("/api/v1/models/stays", { ...query }, signal);

/** The machines whose samples are kept. */
export const getHosts = (signal?: AbortSignal): Promise<KnownHosts> =>
  get("/api/v1/hosts", {}, signal);

export const getCapacity = (query: CapacityQuery, signal?: AbortSignal): Promise<CapacityReply> =>
  get("/api/v1/capacity", { ...query }, signal);

export const getPeople = (query: PeopleQuery, signal?: AbortSignal): Promise<People> =>
  get("/api/v1/capacity/people", { ...query }, signal);

export const getWhatIf = (query: WhatIfQuery, signal?: AbortSignal): Promise<WhatIf> =>
  get("/api/v1/capacity/what-if", { ...query }, signal);

/** Takes all of the machine's cores for some seconds; refused while a call runs. */
export const measureMachine = (): Promise<Measured> => post("/api/v1/machine/measure", {});

export const sendFeedback = (spanId: string, body: FeedbackRequest): Promise<FeedbackReply> =>
  post(`/api/v1/spans/${encodeURIComponent(spanId)}/feedback`, body);

const notesOf = (traceId: string): string => `/api/v1/traces/${encodeURIComponent(traceId)}/notes`;

export const getNotes = (traceId: string, signal?: AbortSignal): Promise<NotesReply> =>
  get(notesOf(traceId), {}, signal);

export const addNote = (traceId: string, text: string): Promise<Note> =>
  post(notesOf(traceId), { text });

export const removeNote = (traceId: string, noteId: number): Promise<unknown> =>
  request(`${notesOf(traceId)}/${noteId}`, { method: "DELETE" });
