// Spans, samples and times for the tests of this folder.

import type {
  DeviceSample,
  HostProcess,
  HostSample,
  Span,
  Timings,
  TraceSummary,
} from "../../api/types";

export const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
export const SECOND = 1e9;

const NO_TIMINGS: Timings = {
  queue_ns: null,
  load_ns: null,
  prompt_eval_ns: null,
  ttft_ns: null,
  eval_ns: null,
  stall_ns: null,
};

export function timings(known: Partial<Timings>): Timings {
  return { ...NO_TIMINGS, ...known };
}

export function id(number: number): string {
  return number.toString(16).padStart(16, "0");
}

export function span(number: number, parent: number | null, more: Partial<Span> = {}): Span {
  return {
    trace_id: TRACE,
    span_id: id(number),
    parent_id: parent === null ? null : id(parent),
    start_ns: 0,
    duration_ns: 100,
    service: "gateway",
    env: null,
    version: null,
    host: null,
    pid: null,
    name: `span ${number}`,
    resource: null,
    kind: "internal",
    llm_kind: null,
    status: "ok",
    error_type: null,
    error_message: null,
    http_method: null,
    http_route: null,
    http_status: null,
    provider: null,
    model: null,
    model_requested: null,
    endpoint: null,
    stream: null,
    input_tokens: null,
    output_tokens: null,
    cached_tokens: null,
    reasoning_tokens: null,
    finish_reason: null,
    timings: NO_TIMINGS,
    context_length: null,
    model_digest: null,
    cost: null,
    cost_currency: null,
    cause: null,
    ml_app: null,
    session_id: null,
    user_id: null,
    request_id: null,
    source: "gateway",
    attributes: {},
    adjusted_count: null,
    ...more,
  };
}

export function hostSample(second: number, more: Partial<HostSample> = {}): HostSample {
  return {
    host: null,
    time_ns: second * SECOND,
    cpu_count: 2,
    cpu_busy_cores: 0,
    cpu_iowait_cores: 0,
    cpu_steal_cores: 0,
    memory_total_bytes: 1000,
    memory_used_bytes: 0,
    swap_total_bytes: 0,
    swap_used_bytes: 0,
    disk_read_bytes_per_s: 0,
    disk_write_bytes_per_s: 0,
    network_receive_bytes_per_s: 0,
    network_send_bytes_per_s: 0,
    major_faults_per_s: 0,
    cpu_user_cores: null,
    cpu_system_cores: null,
    load_1m: null,
    memory_cached_bytes: null,
    swap_in_bytes_per_s: null,
    swap_out_bytes_per_s: null,
    cpu_pressure: null,
    memory_pressure: null,
    memory_stall: null,
    io_pressure: null,
    io_stall: null,
    cpu_throttled: null,
    oom_kills: null,
    ...more,
  };
}

export function deviceSample(second: number, more: Partial<DeviceSample> = {}): DeviceSample {
  return {
    host: null,
    kind: "gpu",
    id: "GPU-1",
    name: "RTX",
    time_ns: second * SECOND,
    utilization: null,
    frequency_hz: null,
    temperature_c: null,
    power_w: null,
    power_limit_w: null,
    memory_used_bytes: null,
    memory_total_bytes: null,
    memory_bandwidth_bytes_per_s: null,
    throttled: null,
    ...more,
  };
}

/** A process that was seen once a second with the given memory, from `second` on. */
export function process(
  role: "runtime" | "andon" | null,
  second: number,
  memory: number[],
): HostProcess {
  return {
    pid: 7,
    started_ns: second * SECOND,
    name: "runtime",
    command: "runtime",
    role,
    points: memory.map((rss_bytes, index) => ({
      time_ns: (second + index) * SECOND,
      cpu_cores: 1,
      rss_bytes,
      gpu_memory_bytes: null,
      major_faults_per_s: null,
    })),
  };
}

export function summary(
  number: number,
  startSecond: number,
  more: Partial<TraceSummary> = {},
): TraceSummary {
  return {
    trace_id: number.toString(16).padStart(32, "0"),
    start_ns: startSecond * SECOND,
    duration_ns: SECOND,
    service: "gateway",
    name: "POST /chat",
    resource: null,
    model: null,
    model_requested: null,
    status: "ok",
    http_status: 200,
    error_type: null,
    cause: null,
    cold_start: false,
    input_tokens: null,
    output_tokens: null,
    cached_tokens: null,
    span_count: 1,
    session_id: null,
    request_id: null,
    stream: null,
    timings: NO_TIMINGS,
    host: null,
    ...more,
  };
}
