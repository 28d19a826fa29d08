//! What an agent says of itself at `/info`. Clients choose by it where they send: without `/evp_proxy/`
//! in the list LLM Observability takes the agent for absent, asks for a key and ends the program.
//!
//! Source: `pkg/trace/api/info.go` in DataDog/datadog-agent.

use serde_json::{Value as Json, json};

/// An agent that knows all of what is listed. Clients look at it to decide what they may send.
pub(super) const AGENT_VERSION: &str = "7.65.0";

/// Not all that a newer agent has. No client that was tried (ddtrace up to 4.16, dd-trace up to 6.21)
/// sends `/v0.7/traces`. `/v1.0/traces` is in the library that ddtrace 4.16 sends with, which no setting of
/// it turns on yet, and which falls back to v0.4 where an agent does not list it. So neither is here.
const ENDPOINTS: [&str; 21] = [
    "/v0.3/traces",
    "/v0.3/services",
    "/v0.4/traces",
    "/v0.4/services",
    "/v0.5/traces",
    "/v0.6/stats",
    "/v0.7/config",
    "/v0.1/pipeline_stats",
    "/profiling/v1/input",
    "/telemetry/proxy/",
    "/evp_proxy/v1/",
    "/evp_proxy/v2/",
    "/evp_proxy/v3/",
    "/evp_proxy/v4/",
    "/debugger/v1/input",
    "/debugger/v1/diagnostics",
    "/debugger/v2/input",
    "/symdb/v1/input",
    "/dogstatsd/v1/proxy",
    "/dogstatsd/v2/proxy",
    "/tracer_flare/v1",
];

/// `port`: where it was asked.
pub(super) fn info(port: Option<u16>, max_body_bytes: usize) -> Json {
    json!({
        "version": AGENT_VERSION,
        "git_commit": "",
        "endpoints": ENDPOINTS,
        "feature_flags": [],
        // Or clients would drop what they did not sample, and count it by themselves.
        "client_drop_p0s": false,
        "span_meta_structs": true,
        "long_running_spans": true,
        "span_events": true,
        "evp_proxy_allowed_headers": [
            "Content-Type", "Accept-Encoding", "Content-Encoding", "User-Agent", "DD-CI-PROVIDER-NAME",
        ],
        "config": {
            "default_env": "none",
            "target_tps": 10,
            "max_eps": 200,
            "receiver_port": port.unwrap_or(8126),
            "receiver_socket": "",
            "connection_limit": 0,
            "receiver_timeout": 0,
            "max_request_bytes": max_body_bytes,
            "statsd_port": 8125,
            "max_memory": 0,
            "max_cpu": 0,
            "analyzed_spans_by_service": {},
            "obfuscation": {
                "elastic_search": false,
                "mongo": false,
                "sql_exec_plan": false,
                "sql_exec_plan_normalize": false,
                "http": {"remove_query_string": false, "remove_path_digits": false},
                "remove_stack_traces": false,
                "redis": {"Enabled": false, "RemoveAllArgs": false},
                "memcached": {"Enabled": false, "KeepCommand": false},
            },
        },
    })
}
