//! `/v1/chat/completions`, streamed as server-sent events. llama-server adds `prompt_progress` and
//! `timings`; usage comes in a chunk of its own when it was asked for.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{FinalStats, Generation, RuntimeEvent, ollama};
use crate::sse::Events;

/// What the chunks said so far; the end of the stream makes the final account of it.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    events: Events,
    stats: FinalStats,
}

pub(super) fn request(generation: &Generation<'_>, progress: bool) -> (&'static str, Bytes) {
    let mut body = json!({
        "model": generation.model,
        "messages": ollama::messages(generation),
        "stream": true,
        "stream_options": {"include_usage": true},
        "max_tokens": generation.num_predict,
    });
    if let Some(temperature) = generation.temperature {
        body["temperature"] = json!(temperature);
    }
    if progress {
        body["return_progress"] = json!(true);
    }
    ("/v1/chat/completions", Bytes::from(body.to_string()))
}

pub(super) fn line(line: &[u8], collected: &mut Collected) -> Vec<RuntimeEvent> {
    let Some(event) = collected.events.line(line) else { return Vec::new() };
    if event.data == "[DONE]" {
        return if collected.stats.finish_reason.is_some() {
            vec![RuntimeEvent::Final(Box::new(std::mem::take(&mut collected.stats)))]
        } else {
            vec![RuntimeEvent::Error("the stream ended without a finish reason".to_owned())]
        };
    }
    match serde_json::from_str(&event.data) {
        Ok(chunk) => chunk_events(&chunk, collected),
        Err(_) => vec![RuntimeEvent::Error("the runtime sent a chunk that is not JSON".to_owned())],
    }
}

fn chunk_events(chunk: &Value, collected: &mut Collected) -> Vec<RuntimeEvent> {
    let error = &chunk["error"];
    if !error.is_null() {
        let message = error.as_str().or_else(|| error["message"].as_str());
        return vec![RuntimeEvent::Error(message.unwrap_or("unknown error").to_owned())];
    }
    collect(chunk, &mut collected.stats);
    let mut events = Vec::new();
    let progress = &chunk["prompt_progress"];
    if let Some(total) = progress["total"].as_u64() {
        events.push(RuntimeEvent::Prompt {
            done: progress["processed"].as_u64().unwrap_or(0),
            total,
            cached: progress["cache"].as_u64().unwrap_or(0),
        });
    }
    let delta = &chunk["choices"][0]["delta"];
    let text = |name: &str| delta[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    events.extend(
        text("reasoning_content").or_else(|| text("reasoning")).map(RuntimeEvent::Thinking),
    );
    events.extend(text("content").map(RuntimeEvent::Token));
    events
}

/// What an answer or a piece of one says of itself.
pub(crate) fn collect(chunk: &Value, stats: &mut FinalStats) {
    if let Some(model) = chunk["model"].as_str() {
        stats.model = Some(model.to_owned());
    }
    if let Some(reason) = chunk["choices"][0]["finish_reason"].as_str() {
        stats.finish_reason = Some(reason.to_owned());
    }
    let usage = &chunk["usage"];
    let take = |slot: &mut Option<u64>, value: &Value| *slot = value.as_u64().or(*slot);
    take(&mut stats.prompt_tokens, &usage["prompt_tokens"]);
    take(&mut stats.output_tokens, &usage["completion_tokens"]);
    take(&mut stats.cached_tokens, &usage["prompt_tokens_details"]["cached_tokens"]);
    take(&mut stats.reasoning_tokens, &usage["completion_tokens_details"]["reasoning_tokens"]);
    collect_account(chunk, stats);
}

/// The server's own account of its time, in either form that there is.
pub(crate) fn collect_account(said: &Value, stats: &mut FinalStats) {
    collect_timings(&said["timings"], stats);
    collect_metrics(&said["metrics"], stats);
}

/// vLLM's, where it runs with `--enable-per-request-metrics`; its time to the first token
/// counts from the end of the queue
/// (<https://docs.vllm.ai/en/latest/features/per_request_metrics.html>).
fn collect_metrics(metrics: &Value, stats: &mut FinalStats) {
    let ns = |name: &str| metrics[name].as_f64().map(|ms| (ms.max(0.0) * 1e6) as u64);
    stats.queue_ns = ns("queue_time_ms").or(stats.queue_ns);
    stats.prompt_eval_ns = ns("time_to_first_token_ms").or(stats.prompt_eval_ns);
    stats.eval_ns = ns("generation_time_ms").or(stats.eval_ns);
}

/// llama-server's: milliseconds, and tokens without those taken from the cache.
fn collect_timings(timings: &Value, stats: &mut FinalStats) {
    if !timings.is_object() {
        return;
    }
    let ns = |name: &str| timings[name].as_f64().map(|ms| (ms.max(0.0) * 1e6) as u64);
    stats.prompt_eval_ns = ns("prompt_ms").or(stats.prompt_eval_ns);
    stats.eval_ns = ns("predicted_ms").or(stats.eval_ns);
    let cached = timings["cache_n"].as_u64();
    stats.cached_tokens = cached.or(stats.cached_tokens);
    let read = timings["prompt_n"].as_u64().filter(|read| *read > 0);
    stats.prompt_tokens = read.map(|read| read + cached.unwrap_or(0)).or(stats.prompt_tokens);
    stats.output_tokens = timings["predicted_n"].as_u64().or(stats.output_tokens);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &str) -> Vec<RuntimeEvent> {
        let mut collected = Collected::default();
        stream.lines().flat_map(|text| line(text.as_bytes(), &mut collected)).collect()
    }

    #[test]
    fn a_stream_with_progress_usage_and_timings_is_read() {
        let events = read(concat!(
            "data: {\"choices\":[{\"delta\":{}}],\"prompt_progress\":{\"total\":9,\"cache\":1,\"processed\":5}}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"timings\":{\"cache_n\":1,\"prompt_ms\":2.5,\"predicted_ms\":4}}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\n",
            "data: [DONE]\n\n",
        ));
        assert_eq!(events[0], RuntimeEvent::Prompt { done: 5, total: 9, cached: 1 });
        assert_eq!(events[1], RuntimeEvent::Token("hi".to_owned()));
        let RuntimeEvent::Final(stats) = &events[2] else { panic!("{events:?}") };
        assert_eq!(stats.prompt_eval_ns, Some(2_500_000));
        assert_eq!((stats.prompt_tokens, stats.cached_tokens), (Some(9), Some(1)));
    }

    #[test]
    fn what_vllm_measured_is_taken() {
        let mut stats = FinalStats::default();
        let metrics = r#"{"metrics":{"queue_time_ms":12.5,"time_to_first_token_ms":85.0,
            "generation_time_ms":1240.5,"mean_itl_ms":null}}"#;
        collect(&serde_json::from_str(metrics).unwrap(), &mut stats);
        assert_eq!((stats.queue_ns, stats.prompt_eval_ns), (Some(12_500_000), Some(85_000_000)));
        assert_eq!(stats.eval_ns, Some(1_240_500_000));
    }

    #[test]
    fn an_end_without_finish_reason_is_a_failure() {
        assert!(matches!(read("data: [DONE]\n\n")[..], [RuntimeEvent::Error(_)]));
    }
}
