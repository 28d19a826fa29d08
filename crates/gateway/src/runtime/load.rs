//! How busy a runtime says it is. llama-server: `/slots` and `/metrics`
//! (<https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md>); vLLM: `/metrics`
//! (<https://docs.vllm.ai/en/latest/usage/metrics.html>). Ollama says nothing of the kind.

use serde::Serialize;
use serde_json::Value;

use super::{
    HttpClient, RuntimeInfo,
    client::{get_json, get_text},
};

const MAX_BYTES: usize = 4 << 20;

/// What a runtime said of its work when it was last asked. Unknown is null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RuntimeLoad {
    /// Calls that it works on at a time.
    pub slots: Option<u32>,
    /// Calls that it works on now, also those that came by another way than Andon.
    pub running: Option<u32>,
    /// Calls that wait for a slot.
    pub waiting: Option<u32>,
    /// Share of its memory for prompts that is taken, 0 to 1.
    pub cache_used: Option<f64>,
    /// Share of all prompt tokens since its start that it had in its cache, 0 to 1.
    pub cache_hits: Option<f64>,
    /// Means over all calls since its start, in milliseconds.
    pub queue_ms: Option<f64>,
    pub prefill_ms: Option<f64>,
    pub decode_ms: Option<f64>,
}

impl RuntimeLoad {
    /// Asks; what is not answered stays unknown.
    pub(super) async fn ask(client: &HttpClient, runtime: &RuntimeInfo) -> Self {
        let get = |path: &'static str| get_text(client, &runtime.authority, path, MAX_BYTES);
        match runtime.product {
            "llama-server" => {
                let slots = get_json(client, &runtime.authority, "/slots", MAX_BYTES).await.ok();
                let metrics = get("/metrics").await.unwrap_or_default();
                Self::llama_server(slots.as_ref(), &metrics)
            }
            "vllm" => Self::vllm(&get("/metrics").await.unwrap_or_default()),
            _ => Self::default(),
        }
    }

    fn llama_server(slots: Option<&Value>, metrics: &str) -> Self {
        let slots = slots.and_then(Value::as_array);
        let busy = |slots: &Vec<Value>| {
            slots.iter().filter(|slot| slot["is_processing"] == true).count() as u32
        };
        let cached = sum(metrics, "llamacpp:prompt_tokens_cached_total");
        let read = sum(metrics, "llamacpp:prompt_tokens_total");
        Self {
            slots: slots.map(|slots| slots.len() as u32),
            running: slots.map(busy).or(count(metrics, "llamacpp:requests_processing")),
            waiting: count(metrics, "llamacpp:requests_deferred"),
            cache_used: sum(metrics, "llamacpp:kv_cache_usage_ratio"),
            cache_hits: cached.zip(read).and_then(|(cached, read)| share(cached, cached + read)),
            ..Self::default()
        }
    }

    fn vllm(metrics: &str) -> Self {
        let queried = sum(metrics, "vllm:prefix_cache_queries_total");
        let hits = sum(metrics, "vllm:prefix_cache_hits_total");
        let mean_ms = |name: &str| {
            let total = sum(metrics, &format!("vllm:request_{name}_time_seconds_sum"))?;
            let calls = sum(metrics, &format!("vllm:request_{name}_time_seconds_count"))?;
            (calls > 0.0).then(|| total / calls * 1e3)
        };
        Self {
            slots: None,
            running: count(metrics, "vllm:num_requests_running"),
            waiting: count(metrics, "vllm:num_requests_waiting"),
            // Its older name counts the GPU's only.
            cache_used: sum(metrics, "vllm:kv_cache_usage_perc")
                .or_else(|| sum(metrics, "vllm:gpu_cache_usage_perc")),
            cache_hits: hits.zip(queried).and_then(|(hits, queried)| share(hits, queried)),
            queue_ms: mean_ms("queue"),
            prefill_ms: mean_ms("prefill"),
            decode_ms: mean_ms("decode"),
        }
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

fn count(metrics: &str, name: &str) -> Option<u32> {
    sum(metrics, name).map(|value| value as u32)
}

/// The sum over all labels of a metric in Prometheus' text format.
fn sum(metrics: &str, name: &str) -> Option<f64> {
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let rest = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}')?.1,
            None => rest.strip_prefix([' ', '\t']).map(|_| rest)?,
        };
        // A time may follow the value.
        rest.split_whitespace().next()?.parse::<f64>().ok().filter(|value| value.is_finite())
    };
    metrics.lines().filter_map(value).reduce(|sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama_server_says_how_many_slots_are_busy_and_who_waits() {
        let slots = serde_json::json!([{"is_processing": true}, {"is_processing": false}]);
        let metrics = "# TYPE llamacpp:requests_deferred gauge\nllamacpp:requests_deferred 3\n\
                       llamacpp:prompt_tokens_total 300\nllamacpp:prompt_tokens_cached_total 100\n";
        let load = RuntimeLoad::llama_server(Some(&slots), metrics);
        assert_eq!((load.slots, load.running, load.waiting), (Some(2), Some(1), Some(3)));
        assert_eq!(load.cache_hits, Some(0.25));
        assert_eq!(RuntimeLoad::llama_server(None, ""), RuntimeLoad::default());
    }

    #[test]
    fn vllm_says_it_in_metrics_summed_over_its_engines() {
        let metrics = "vllm:num_requests_running{engine=\"0\",model_name=\"a b\"} 2.0\n\
                       vllm:num_requests_running{engine=\"1\",model_name=\"a b\"} 1.0\n\
                       vllm:num_requests_running_created 1.7e9\n\
                       vllm:num_requests_waiting{engine=\"0\"} NaN\n\
                       vllm:kv_cache_usage_perc{engine=\"0\"} 0.5\n\
                       vllm:request_queue_time_seconds_sum{engine=\"0\"} 4.0\n\
                       vllm:request_queue_time_seconds_count{engine=\"0\"} 8.0\n";
        let load = RuntimeLoad::vllm(metrics);
        assert_eq!((load.running, load.waiting), (Some(3), None));
        assert_eq!((load.cache_used, load.queue_ms), (Some(0.5), Some(500.0)));
    }
}
