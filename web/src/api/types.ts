/**
 * The shapes of Andon's HTTP API as the pages use them: the one place where they are written.
 * Names are the server's. Ids are lower-case hex, times UTC nanoseconds as numbers, unknown is null.
 */

export type Phase = "queue" | "load" | "prompt" | "generate";

export type ErrorCode =
  | "no_message"
  | "bad_json"
  | "bad_field"
  | "too_large"
  | "bad_utf8"
  | "not_found"
  | "method_not_allowed"
  | "timeout"
  | "queue_full"
  | "runtime_down"
  | "model_missing"
  | "context_exceeded"
  | "out_of_memory"
  | "runtime_failed"
  | "stream_broken"
  | "proxy_failed"
  | "unauthorized"
  | "forbidden";

// ---- chat -----------------------------------------------------------------------------------

export interface ChatMessage {
  role: "user" | "assistant";
  content: string;
}

export interface ChatRequest {
  message: string;
  model?: string;
  /** Earlier turns, oldest first, without the new message. */
  messages?: ChatMessage[];
  system?: string;
  temperature?: number;
  num_predict?: number;
  session_id?: string;
  user_id?: string;
  privacy?: "none";
  think?: boolean;
}

export interface CallTimings {
  queue_ms: number | null;
  load_ms: number | null;
  prompt_ms: number | null;
  ttft_ms: number | null;
  generate_ms: number | null;
  andon_ms: number | null;
  total_ms: number | null;
}

export interface ChatReply {
  reply: string;
  eval_count: number | null;
  prompt_eval_count: number | null;
  duration_ms: number | null;
  request_id: string;
  trace_id: string;
  model: string;
  model_requested: string | null;
  finish_reason: string | null;
  cold_start: boolean;
  note: string | null;
  timings: CallTimings;
  /** Streams only. */
  thinking?: string | null;
  /** Streams only: the span that feedback is about. */
  span_id?: string | null;
}

export interface ApiError {
  error: string;
  code: ErrorCode;
  phase?: Phase | null;
  trace_id?: string | null;
  request_id?: string | null;
  detail?: string | null;
  prompt?: string | null;
  output?: string | null;
  timings?: CallTimings | null;
  retry_after_s?: number | null;
}

export interface ChatStart {
  trace_id: string;
  request_id: string;
  span_id: string | null;
  model: string;
  model_requested: string | null;
  timeout_ms: number | null;
}

export interface PhaseReport {
  phase: Phase;
  /** How long the call has been in this phase. */
  phase_since_ms: number;
  elapsed_ms: number;
  /** 1 = next in line. */
  queue_position: number | null;
  load_progress: number | null;
  prompt_done: number | null;
  prompt_total: number | null;
  prompt_cached: number | null;
  tokens: number;
  tokens_per_s: number | null;
  eta_ms: number | null;
  eta_exact: boolean;
}

export interface ChatEvents {
  start: ChatStart;
  phase: PhaseReport;
  thinking: { text: string };
  token: { text: string };
  done: ChatReply;
  error: ApiError;
}

// ---- models and status ----------------------------------------------------------------------

export interface RuntimeInfo {
  name: string;
  kind: "builtin" | "ollama" | "openai";
  address: string;
  version: string | null;
  healthy: boolean;
  message: string | null;
}

export interface ModelInfo {
  name: string;
  size_bytes: number | null;
  parameter_size: string | null;
  quantization: string | null;
  family: string | null;
  context_length: number | null;
  digest: string | null;
  loaded: boolean;
  default: boolean;
}

export interface RouteInfo {
  path: string;
  model: string;
  /** The model that really answers; differs from `model` where that one is not installed. */
  answered_by: string | null;
  note: string | null;
}

export interface ModelsReply {
  runtime: RuntimeInfo;
  models: ModelInfo[];
  routes: RouteInfo[];
  /** `full`, `mask:N`, `none`. */
  privacy: string;
  timeout_ms: number;
  max_body_bytes: number;
}

export interface StatusReply {
  version: string;
  uptime_s: number;
  host: string;
  cpu_count: number;
  memory_total_bytes: number;
  memory_used_bytes: number;
  spans_stored: number;
  dropped: Record<string, number>;
  store: { healthy: boolean; message: string | null };
  lang: "ja" | "en" | null;
}

// ---- traces ---------------------------------------------------------------------------------

export type SpanStatus = "ok" | "error" | "unset";
export type SpanKind = "server" | "client" | "internal" | "producer" | "consumer";
export type LlmKind = "workflow" | "agent" | "task" | "tool" | "llm" | "embedding" | "retrieval";

export type Cause =
  | "none"
  | "cold_start"
  | "keep_alive_expired"
  | "evicted"
  | "options_changed"
  | "queue"
  | "long_prompt"
  | "prompt_cache_lost"
  | "long_answer"
  | "cpu_starved"
  | "steal"
  | "throttled"
  | "memory_pressure"
  | "partly_on_cpu"
  | "slow_disk"
  | "parallel_generation"
  | "network"
  | "slow_app"
  | "timeout"
  | "runtime_down"
  | "out_of_memory"
  | "model_missing"
  | "queue_full"
  | "client_gone"
  | "context_exceeded"
  | "prompt_cut"
  | "unknown";

export interface Timings {
  queue_ns: number | null;
  load_ns: number | null;
  prompt_eval_ns: number | null;
  ttft_ns: number | null;
  eval_ns: number | null;
  stall_ns: number | null;
}

export type AttributeValue = boolean | number | string;

export interface Span {
  trace_id: string;
  span_id: string;
  parent_id: string | null;
  start_ns: number;
  duration_ns: number;
  service: string;
  env: string | null;
  version: string | null;
  host: string | null;
  pid: number | null;
  name: string;
  resource: string | null;
  kind: SpanKind;
  llm_kind: LlmKind | null;
  status: SpanStatus;
  error_type: string | null;
  error_message: string | null;
  http_method: string | null;
  http_route: string | null;
  http_status: number | null;
  provider: string | null;
  model: string | null;
  model_requested: string | null;
  endpoint: string | null;
  stream: boolean | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cached_tokens: number | null;
  reasoning_tokens: number | null;
  finish_reason: string | null;
  timings: Timings;
  context_length: number | null;
  model_digest: string | null;
  cost: number | null;
  cost_currency: string | null;
  cause: Cause | null;
  ml_app: string | null;
  session_id: string | null;
  user_id: string | null;
  request_id: string | null;
  source: "gateway" | "capture" | "otlp" | "datadog" | "rum";
  attributes: Record<string, AttributeValue>;
}

export interface Content {
  trace_id: string;
  span_id: string;
  time_ns: number;
  part: "input" | "output" | "system" | "tool" | "document" | "thinking";
  role: string | null;
  idx: number;
  /** As kept: with `mask:N` the first N characters and then the notice. */
  text: string;
  policy: string;
  original_length: number;
  /** Characters at the start of `text` that are the original's own; what follows is the notice. */
  kept_length: number;
}

export interface Evaluation {
  trace_id: string;
  span_id: string;
  time_ns: number;
  evaluator: string;
  version: string | null;
  metric_type: "score" | "categorical" | "boolean";
  score: number | null;
  label: string | null;
  reason: string | null;
  source: "builtin" | "judge" | "human" | "sdk";
  duration_ns: number | null;
}

export interface TraceReply {
  trace_id: string;
  spans: Span[];
  contents: Content[];
  evaluations: Evaluation[];
}

export interface TraceSummary {
  trace_id: string;
  start_ns: number;
  duration_ns: number;
  service: string;
  name: string;
  resource: string | null;
  model: string | null;
  model_requested: string | null;
  status: SpanStatus;
  http_status: number | null;
  error_type: string | null;
  cause: Cause | null;
  cold_start: boolean;
  input_tokens: number | null;
  output_tokens: number | null;
  cached_tokens: number | null;
  span_count: number;
  session_id: string | null;
  request_id: string | null;
  stream: boolean | null;
  timings: Timings;
}

export interface Facet {
  value: string;
  count: number;
}

export type FacetName = "cause" | "service" | "model" | "status";

export interface TracesReply {
  traces: TraceSummary[];
  next_cursor: string | null;
  total_matched: number;
  facets: Record<FacetName, Facet[]>;
}

export interface HostSample {
  time_ns: number;
  cpu_count: number;
  cpu_busy_cores: number;
  cpu_iowait_cores: number;
  cpu_steal_cores: number;
  memory_total_bytes: number;
  memory_used_bytes: number;
  swap_total_bytes: number;
  swap_used_bytes: number;
  disk_read_bytes_per_s: number;
  disk_write_bytes_per_s: number;
  network_receive_bytes_per_s: number;
  network_send_bytes_per_s: number;
  major_faults_per_s: number;
}

export interface HostProcess {
  pid: number;
  started_ns: number;
  name: string;
  command: string;
  role: "runtime" | "andon" | null;
  points: { time_ns: number; cpu_cores: number; rss_bytes: number }[];
}

export interface TraceHostReply {
  from_ns: number;
  to_ns: number;
  samples: HostSample[];
  processes: HostProcess[];
}

export interface LiveCall {
  trace_id: string;
  span_id: string;
  request_id: string;
  service: string;
  route: string;
  model: string;
  start_ns: number;
  phase: Phase;
  phase_since_ns: number;
  queue_position: number | null;
  load_progress: number | null;
  prompt_done: number | null;
  prompt_total: number | null;
  prompt_cached: number | null;
  tokens: number;
  tokens_per_s: number | null;
  eta_ms: number | null;
  eta_exact: boolean;
}

// ---- feedback and the browser's own spans ---------------------------------------------------

export interface FeedbackRequest {
  trace_id: string;
  /** 0 takes it back. */
  score: 1 | -1 | 0;
  comment?: string;
}

export interface RumAction {
  type: "action";
  name: string;
  trace_id: string;
  span_id: string;
  start_ns: number;
  duration_ns: number;
  session_id: string;
  view_id: string;
  url: string;
  status: "ok" | "error";
  error_type?: string;
  attributes: Record<string, number | string>;
}
